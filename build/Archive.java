import java.io.IOException;
import java.io.OutputStream;
import java.lang.module.ModuleDescriptor;
import java.lang.module.ModuleFinder;
import java.lang.module.ModuleReference;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.spi.ToolProvider;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;

/**
 * Makes an archive that starts on a bare Linux: a Java runtime with only the modules that the
 * command needs, its jars, the conformance kit, the benchmarks of the CUDA backend, and a launcher.
 * Run by the build: {@code mvn -Pdist package}.
 *
 * <pre>
 * Archive.java distribution test-classes launcher folder-with-licence archive.tar.xz
 * </pre>
 */
class Archive {
  /**
   * Of the JDK: what libraries without a module descriptor use, and what nobody requires by name.
   * The modules that the jars' descriptors require come on top.
   */
  private static final List<String> MODULES =
      List.of(
          "java.desktop",
          "java.logging",
          "java.management",
          "java.sql",
          "java.xml",
          "jdk.incubator.vector",
          "jdk.jfr",
          "jdk.management",
          "jdk.unsupported",
          "jdk.zipfs");

  /** The tokenizer's libraries for other systems than this archive is for. */
  private static final String FOREIGN = "native/lib/(win|osx|linux-(?!%s)).*";

  public static void main(String[] args) throws Exception {
    Path dist = Path.of(args[0]);
    Path benchmarks = Path.of(args[1]);
    Path launcher = Path.of(args[2]);
    Path project = Path.of(args[3]);
    Path archive = Path.of(args[4]);
    String name = archive.getFileName().toString().replace(".tar.xz", "");
    Path root = archive.resolveSibling("archive").resolve(name);
    delete(root);
    Files.createDirectories(root);

    // Neither compressed here nor stripped of what helps: the archive is compressed as a whole.
    run(
        "jlink",
        "--add-modules",
        String.join(",", modules(dist.resolve("lib"), dist.resolve("conformance"))),
        "--strip-debug",
        "--no-header-files",
        "--no-man-pages",
        "--vm",
        "server",
        "--output",
        root.resolve("runtime").toString());
    unpackedJars(dist.resolve("lib"), root.resolve("lib"));
    unpackedJars(dist.resolve("conformance"), root.resolve("conformance"));
    copyBenchmarks(benchmarks, root.resolve("benchmarks"));
    for (String text : List.of("LICENSE", "NOTICE")) {
      Files.copy(project.resolve(text), root.resolve(text));
    }
    Path bin = Files.createDirectories(root.resolve("bin"));
    try (var scripts = Files.list(launcher)) {
      for (Path script : scripts.toList()) {
        Path copy = Files.copy(script, bin.resolve(script.getFileName()));
        Files.setPosixFilePermissions(copy, PosixFilePermissions.fromString("rwxr-xr-x"));
      }
    }
    requireItStarts(bin.resolve("parallelcomp"));
    Files.deleteIfExists(archive);
    var tar =
        new ProcessBuilder(
                "tar", "-C", root.getParent().toString(), "-cJf", archive.toString(), name)
            .inheritIO();
    tar.environment().put("XZ_OPT", "-6 -T0");
    if (tar.start().waitFor() != 0) {
      throw new IOException("tar could not write " + archive);
    }
    System.out.printf("%s: %.1f MiB%n", archive, Files.size(archive) / 1048576.0);
  }

  /** Lets the bundled model answer, with no variable of this environment: so it is used. */
  private static void requireItStarts(Path command) throws Exception {
    Path text = Files.createTempFile("archive", ".txt");
    try {
      Files.writeString(text, "The sky was grey. The pass key is 48213. Birds flew by.");
      var ask =
          new ProcessBuilder(
                  command.toString(),
                  "ask",
                  "--text",
                  text.toString(),
                  "--backend",
                  "cpu-vector",
                  "What is the pass key?")
              .redirectErrorStream(true);
      ask.environment().clear();
      Process process = ask.start();
      String answer = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      if (process.waitFor() != 0 || !answer.contains("48213")) {
        throw new IllegalStateException("the archive's command does not answer: " + answer);
      }
    } finally {
      Files.delete(text);
    }
  }

  private static Set<String> modules(Path... jars) {
    var modules = new TreeSet<>(MODULES);
    for (ModuleReference module : ModuleFinder.of(jars).findAll()) {
      for (ModuleDescriptor.Requires required : module.descriptor().requires()) {
        if (!required.modifiers().contains(ModuleDescriptor.Requires.Modifier.STATIC)
            && ModuleFinder.ofSystem().find(required.name()).isPresent()) {
          modules.add(required.name());
        }
      }
    }
    return modules;
  }

  private static void run(String tool, String... arguments) {
    int status = ToolProvider.findFirst(tool).orElseThrow().run(System.out, System.err, arguments);
    if (status != 0) {
      throw new IllegalStateException(tool + " ended with " + status);
    }
  }

  /** Jars that are not compressed start faster, and the archive compresses them better. */
  private static void unpackedJars(Path from, Path to) throws IOException {
    Files.createDirectories(to);
    String foreign = FOREIGN.formatted(machine());
    try (var jars = Files.list(from)) {
      for (Path jar : jars.filter(file -> file.toString().endsWith(".jar")).toList()) {
        try (var in = new ZipFile(jar.toFile());
            OutputStream file = Files.newOutputStream(to.resolve(jar.getFileName()));
            var out = new ZipOutputStream(file)) {
          out.setMethod(ZipOutputStream.STORED);
          for (ZipEntry entry : in.stream().toList()) {
            if (entry.getName().matches(foreign)) {
              continue;
            }
            byte[] bytes = in.getInputStream(entry).readAllBytes();
            var stored = new ZipEntry(entry.getName());
            var crc = new CRC32();
            crc.update(bytes);
            stored.setCrc(crc.getValue());
            stored.setSize(bytes.length);
            stored.setTime(entry.getTime());
            out.putNextEntry(stored);
            out.write(bytes);
            out.closeEntry();
          }
        }
      }
    }
  }

  private static String machine() {
    return System.getProperty("os.arch").equals("amd64") ? "x86_64" : "aarch64";
  }

  private static void copyBenchmarks(Path from, Path to) throws IOException {
    try (var classes = Files.walk(from)) {
      for (Path file : classes.toList()) {
        if (file.getFileName().toString().matches("(DeviceBenchmark|SyntheticModel).*[.]class")) {
          Path copy = to.resolve(from.relativize(file).toString());
          Files.createDirectories(copy.getParent());
          Files.copy(file, copy, StandardCopyOption.REPLACE_EXISTING);
        }
      }
    }
  }

  private static void delete(Path folder) throws IOException {
    if (!Files.exists(folder)) {
      return;
    }
    Files.walkFileTree(
        folder,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
              throws IOException {
            Files.delete(file);
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult postVisitDirectory(Path dir, IOException failure)
              throws IOException {
            Files.delete(dir);
            return FileVisitResult.CONTINUE;
          }
        });
  }
}
