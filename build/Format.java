import com.google.googlejavaformat.java.Formatter;
import com.google.googlejavaformat.java.ImportOrderer;
import com.google.googlejavaformat.java.JavaFormatterOptions;
import com.google.googlejavaformat.java.RemoveUnusedImports;
import java.io.IOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * Formats every Java file of the project with google-java-format, or checks that it is formatted.
 * Run by the build: {@code mvn -N validate} checks, {@code mvn -N validate -Dformat=fix} formats.
 */
class Format {
  /** Build output, hidden folders, and generated bindings are nobody's to format. */
  private static final Set<String> SKIPPED = Set.of("target", "bindings");

  public static void main(String[] args) throws Exception {
    boolean fix = args[0].equals("fix");
    var formatter = new Formatter(JavaFormatterOptions.builder().build());
    var unformatted = new ArrayList<Path>();
    for (Path file : javaFiles(Path.of(args[1]))) {
      String before = Files.readString(file);
      String after;
      try {
        String imports = RemoveUnusedImports.removeUnusedImports(before);
        after =
            formatter.formatSource(
                ImportOrderer.reorderImports(imports, JavaFormatterOptions.Style.GOOGLE));
      } catch (Exception e) {
        throw new IllegalStateException(file + ": " + e.getMessage(), e);
      }
      if (!after.equals(before)) {
        unformatted.add(file);
        if (fix) {
          Files.writeString(file, after);
        }
      }
    }
    if (!fix && !unformatted.isEmpty()) {
      unformatted.forEach(file -> System.err.println("not formatted: " + file));
      System.err.println("Run: mvn -N validate -Dformat=fix");
      System.exit(1);
    }
  }

  private static List<Path> javaFiles(Path root) throws IOException {
    var files = new ArrayList<Path>();
    Files.walkFileTree(
        root,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult preVisitDirectory(Path folder, BasicFileAttributes attributes) {
            String name = folder.getFileName().toString();
            boolean skipped =
                SKIPPED.contains(name) || (name.startsWith(".") && !folder.equals(root));
            return skipped ? FileVisitResult.SKIP_SUBTREE : FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
            if (file.toString().endsWith(".java")) {
              files.add(file);
            }
            return FileVisitResult.CONTINUE;
          }
        });
    return files;
  }
}
