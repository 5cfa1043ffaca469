package org.parallelcomp.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.parallelcomp.api.policy.Preset;
import org.parallelcomp.engine.Engine;

/** The jars as they are shipped, started as a user starts them. */
@Tag("packaged")
class LaunchTest {
  private static final String TEXT =
      "It was a dark night. Mira keeps the silver key in the lighthouse. The wind blew.\n";
  private static final String QUESTION = "Where does Mira keep the silver key?";
  private static final String VECTOR = "--add-modules=jdk.incubator.vector";
  private static final String GRANT =
      "--enable-native-access=ai.djl.tokenizers,ai.djl.api,com.sun.jna";
  private static final String UNUSABLE =
      """
      cpu-vector: kernels on the processor's vectors (Java Vector API)
        not usable here:
        - the module jdk.incubator.vector is not there
          remedy: start java with --add-modules jdk.incubator.vector
      """;

  @TempDir private static Path folder;
  private static String text;

  /** Every way to start the command with everything that it needs. */
  private enum Way {
    MODULE_PATH,
    CLASS_PATH,
    EXECUTABLE_JAR;

    Command.Outcome run(String... arguments) {
      return switch (this) {
        case MODULE_PATH -> Command.onModulePath(Command.LAUNCHER_OPTIONS, arguments);
        case CLASS_PATH ->
            Command.onClassPath(List.of(VECTOR, "--enable-native-access=ALL-UNNAMED"), arguments);
        case EXECUTABLE_JAR -> jar(List.of(VECTOR), arguments);
      };
    }
  }

  @BeforeAll
  static void writeText() throws IOException {
    text = Files.writeString(folder.resolve("text.txt"), TEXT).toString();
  }

  /** The manifest grants native access. */
  private static Command.Outcome jar(List<String> options, String... arguments) {
    var line = new ArrayList<String>();
    line.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    line.addAll(options);
    line.addAll(List.of("-jar", Artifacts.jars().get("parallelcomp-cli").toString()));
    line.addAll(Arrays.asList(arguments));
    return Command.run(line);
  }

  @ParameterizedTest
  @EnumSource
  void answersWithOneJsonObjectAndNothingElse(Way way) throws JsonProcessingException {
    Command.Outcome outcome = way.run("ask", "--json", "--text", text, QUESTION);
    assertEquals("", outcome.err());
    assertEquals(0, outcome.status());
    JsonNode result =
        new ObjectMapper()
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .readTree(outcome.out());
    assertEquals("in the lighthouse", result.get("answer").asText());
    assertEquals("stop-token", result.get("finishReason").asText());
    assertEquals(TEXT, result.get("passages").get(0).get("text").asText());
    assertEquals(List.of(), warningsOf(outcome, "native"), "native access was granted");
  }

  /** The template looks into a package that is open to its library alone. */
  @ParameterizedTest
  @EnumSource
  void explainsOnAPage(Way way) throws IOException {
    Path page = folder.resolve(way + ".html");
    String answer = done(way.run("explain", "-q", "--text", text, "-o", page.toString(), QUESTION));

    assertEquals("in the lighthouse\n", answer.replace(System.lineSeparator(), "\n"));
    assertTrue(Files.readString(page).contains("<h1>" + QUESTION + "</h1>"));
  }

  @ParameterizedTest
  @EnumSource
  void saysWhatItIsAndWhatItRunsOn(Way way) {
    assertEquals(
        "parallelcomp %s\nJava %s\n".formatted(version(), Runtime.version()),
        done(way.run("--version")).replace(System.lineSeparator(), "\n"));
    String backends = done(way.run("backends"));
    assertTrue(backends.contains("\n  usable, score 50: "), backends);
    String doctor = done(way.run("doctor"));
    assertTrue(doctor.contains("\nnative access  granted\n"), doctor);
    assertTrue(doctor.contains("\nvector module  on\n"), doctor);
    assertTrue(doctor.endsWith(backends), doctor);
  }

  private static String version() {
    String jar = Artifacts.jars().get("parallelcomp-cli").getFileName().toString();
    return jar.replace("parallelcomp-cli-", "").replace(".jar", "");
  }

  @Test
  void listsPoliciesAndShowsTheModel() {
    String policies = done(Way.MODULE_PATH.run("policies"));
    for (Preset preset : Engine.policies().presets()) {
      assertTrue(policies.contains(preset.name()), preset.name() + " is not in " + policies);
    }
    String model = done(Way.MODULE_PATH.run("inspect"));
    assertTrue(model.contains("\nparameters        5,770,496\n"), model);
    assertTrue(model.contains("\ntrained window    2,048 tokens\n"), model);
  }

  @Test
  void withoutNativeAccessItWorksAndTheDoctorSaysWhatToGrant() {
    Command.Outcome ask = Command.onModulePath(List.of(), "ask", "-q", "--text", text, QUESTION);
    assertEquals("in the lighthouse\n", done(ask));
    String onModulePath = done(Command.onModulePath(List.of(), "doctor"));
    assertTrue(
        onModulePath.contains(
            "native access  not granted; start with --enable-native-access=ai.djl.tokenizers\n"),
        onModulePath);
    String onClassPath = done(Command.onClassPath(List.of(VECTOR), "doctor"));
    assertTrue(
        onClassPath.contains(
            "native access  not granted; start with --enable-native-access=ALL-UNNAMED\n"),
        onClassPath);
  }

  /** Nothing is refused, but Java would warn: then the CUDA backend does not even look. */
  @Test
  void withoutNativeAccessTheCudaBackendIsSilent() {
    Command.Outcome backends = Command.onModulePath(List.of(), "backends");
    assertTrue(
        done(backends)
            .contains(
                """
                cuda-ffm: NVIDIA devices (CUDA through Java's foreign functions)
                  not usable here:
                  - it may not call native code
                    remedy: start java with --enable-native-access=org.parallelcomp.backend.cuda.ffm
                """),
        backends.out());
    assertEquals(List.of(), warningsOf(backends, "native"));
  }

  /** On the class path nothing asks for the incubator module, so the user must. */
  @Test
  void withoutTheVectorModuleItSaysWhatToDo() {
    List<String> options = List.of("--enable-native-access=ALL-UNNAMED");
    String backends = done(Command.onClassPath(options, "backends"));
    assertTrue(backends.startsWith(UNUSABLE), backends);

    Command.Outcome doctor = Command.onClassPath(options, "doctor");
    assertEquals(3, doctor.status());
    assertTrue(
        doctor
            .out()
            .contains("\nvector module  off; start with --add-modules jdk.incubator.vector\n"),
        doctor.out());
    assertTrue(doctor.out().contains(UNUSABLE), doctor.out());

    Command.Outcome best = Command.onClassPath(options, "ask", "--text", text, QUESTION);
    String none =
        "parallelcomp: No backend can run here: cpu-vector: the module jdk.incubator.vector is not"
            + " there (start java with --add-modules jdk.incubator.vector); cuda-ffm: ";
    assertTrue(best.err().startsWith(none), best.err());
    assertEquals("", best.out());
    assertEquals(3, best.status());

    Command.Outcome chosen =
        jar(List.of(), "ask", "--backend", "cpu-vector", "--text", text, QUESTION);
    assertEquals(
        "parallelcomp: Backend cpu-vector cannot run here: the module jdk.incubator.vector is not"
            + " there (start java with --add-modules jdk.incubator.vector).\n",
        chosen.err());
    assertEquals("", chosen.out());
    assertEquals(3, chosen.status());
  }

  /** Each option is for something of its own: without the others the question is answered too. */
  @Test
  void eachOptionWorksWithoutTheOther() {
    Command.Outcome all =
        Command.onModulePath(
            List.of("--add-modules=ALL-MODULE-PATH"), "ask", "-q", "--text", text, QUESTION);
    assertEquals("in the lighthouse\n", done(all));
    assertTrue(
        warningsOf(all, "native").stream()
            .anyMatch(w -> w.contains("Use --enable-native-access=ai.djl.tokenizers")),
        all.warnings().toString());
    Command.Outcome granted =
        Command.onModulePath(List.of(GRANT), "ask", "-q", "--text", text, QUESTION);
    assertEquals("in the lighthouse\n", done(granted));
    assertEquals(List.of(), warningsOf(granted, "native"));
  }

  /** As a later Java will do unasked. */
  @Test
  void whereNativeAccessIsRefusedItSaysWhatToGrant() {
    String refuse = "--illegal-native-access=deny";
    Command.Outcome onModulePath =
        Command.onModulePath(List.of(refuse), "ask", "-q", "--text", text, QUESTION);
    assertEquals(
        "parallelcomp: The native tokenizers library may not be loaded; start java with"
            + " --enable-native-access=ai.djl.tokenizers,ai.djl.api,com.sun.jna.\n",
        onModulePath.err());
    assertEquals(5, onModulePath.status());
    Command.Outcome onClassPath =
        Command.onClassPath(List.of(refuse, VECTOR), "ask", "-q", "--text", text, QUESTION);
    assertEquals(
        "parallelcomp: The native tokenizers library may not be loaded; start java with"
            + " --enable-native-access=ALL-UNNAMED.\n",
        onClassPath.err());
    assertEquals(5, onClassPath.status());

    Command.Outcome grantedAll =
        Command.onModulePath(List.of(refuse, GRANT), "ask", "-q", "--text", text, QUESTION);
    assertEquals("in the lighthouse\n", done(grantedAll));
  }

  /**
   * A backend that must not call its library is one that cannot run, and no fault of the others.
   */
  @Test
  void aBackendWithoutNativeAccessSaysWhatToGrant() {
    Path cuda = Artifacts.jars().get("parallelcomp-backend-cuda-ffm");
    String sentence =
        """
        cuda-ffm: NVIDIA devices (CUDA through Java's foreign functions)
          not usable here:
          - it may not call native code
            remedy: start java with --enable-native-access=%s
        """;
    String refuse = "--illegal-native-access=deny";
    String onModulePath =
        done(Command.onModulePath(List.of(refuse), List.of(dist(), cuda), "backends"));
    assertTrue(
        onModulePath.contains(sentence.formatted("org.parallelcomp.backend.cuda.ffm")),
        onModulePath);
    assertTrue(onModulePath.contains("\n  usable, score 50: "), onModulePath);
    String onClassPath =
        done(
            Command.onClassPath(
                List.of(refuse, VECTOR), List.of(dist().resolve("*"), cuda), "backends"));
    assertTrue(onClassPath.contains(sentence.formatted("ALL-UNNAMED")), onClassPath);
    assertTrue(onClassPath.contains("\n  usable, score 50: "), onClassPath);

    for (Command.Outcome granted :
        List.of(
            Command.onModulePath(
                List.of(refuse, "--enable-native-access=org.parallelcomp.backend.cuda.ffm"),
                List.of(dist(), cuda),
                "backends"),
            Command.onClassPath(
                List.of(refuse, VECTOR, "--enable-native-access=ALL-UNNAMED"),
                List.of(dist().resolve("*"), cuda),
                "backends"))) {
      assertFalse(done(granted).contains("it may not call native code"), granted.out());
      assertTrue(granted.out().contains("cuda-ffm: "), granted.out());
      assertEquals(List.of(), warningsOf(granted, "native"));
    }
  }

  private static Path dist() {
    return Artifacts.distribution();
  }

  /** Returns a folder of the command's jars but those of some artifacts. */
  private static Path without(List<String> artifacts) throws IOException {
    Path rest = Files.createTempDirectory(folder, "without");
    var missing = new HashSet<Path>();
    artifacts.forEach(artifact -> missing.add(Artifacts.jars().get(artifact).getFileName()));
    try (var jars = Files.list(dist())) {
      for (Path jar : jars.toList()) {
        if (!missing.remove(jar.getFileName())) {
          Files.copy(jar, rest.resolve(jar.getFileName()));
        }
      }
    }
    assertEquals(Set.of(), missing, "not in " + dist());
    return rest;
  }

  /** What is found at run time may be missing; then the sentence names what to put there. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          parallelcomp-backend-cpu-vector parallelcomp-backend-cuda-ffm | 3 | No backend was found; put one on the module path, such as parallelcomp-backend-cpu-vector.
          parallelcomp-core-policies | 2 | No preset was found; put policies on the path, such as parallelcomp-core-policies.
          """)
  void aMissingArtifactIsNamed(String artifacts, int status, String sentence) throws IOException {
    Path rest = without(List.of(artifacts.split(" ")));
    for (Command.Outcome outcome :
        List.of(
            Command.onModulePath(List.of(), List.of(rest), "ask", "--text", text, QUESTION),
            Command.onClassPath(
                List.of(VECTOR), List.of(rest.resolve("*")), "ask", "--text", text, QUESTION))) {
      assertEquals("parallelcomp: " + sentence + "\n", outcome.err());
      assertEquals("", outcome.out());
      assertEquals(status, outcome.status());
    }
  }

  /** The kit lies beside the command, not on its path. */
  @Test
  void theConformanceKitRunsOnBothPaths() {
    String rule = "-Dparallelcomp.conformance.rule=B101";
    var onModulePath = new ArrayList<>(Command.LAUNCHER_OPTIONS);
    onModulePath.add(rule);
    for (String table :
        List.of(
            done(Command.onModulePath(onModulePath, "conformance", "--backend", "cpu-vector")),
            done(Command.onClassPath(List.of(VECTOR, rule), "conformance")))) {
      assertTrue(("\n" + table).contains("\nB101  holds "), table);
      assertTrue(table.contains(" rules: 1 hold, 0 broken, "), table);
    }
    String policies = "-Dparallelcomp.conformance.rule=P101";
    String table = done(Command.onClassPath(List.of(policies), "conformance", "--policies"));
    assertTrue(table.contains("\nP101  holds "), table);

    Command.Outcome unknown = Command.onModulePath(List.of(), "conformance", "--backend", "cpu");
    assertEquals(2, unknown.status());
    assertTrue(unknown.err().startsWith("parallelcomp: There is no backend 'cpu'"), unknown.err());
    Command.Outcome unusable =
        Command.onClassPath(List.of(), "conformance", "--backend", "cpu-vector");
    assertEquals(3, unusable.status());
    assertEquals(
        "parallelcomp: Backend cpu-vector cannot run here; 'parallelcomp backends' says why.\n",
        unusable.err());
  }

  @Test
  @DisabledOnOs(value = OS.WINDOWS, disabledReason = "The launcher is a shell script")
  void theLauncherFindsAJdkThatIsNewEnough() {
    String java = done(Command.run(List.of("../parallelcomp", "--launcher-java"))).strip();
    Command.Outcome version = Command.run(List.of(java, "--version"));
    assertEquals(0, version.status());
    int feature = Integer.parseInt(version.out().replaceFirst("(?s)^\\S+ (\\d+).*", "$1"));
    assertTrue(feature >= 25, version.out());
  }

  @Test
  @DisabledOnOs(value = OS.WINDOWS, disabledReason = "The launcher is a shell script")
  void theLauncherRefusesAJdkThatIsTooOld() throws IOException {
    Path old = Files.createDirectories(folder.resolve("jdk-24"));
    Files.writeString(old.resolve("release"), "JAVA_VERSION=\"24.0.2\"\n");
    Path compiler = Files.createDirectories(old.resolve("bin")).resolve("javac");
    Files.writeString(compiler, "#!/bin/sh\n");
    assertTrue(compiler.toFile().setExecutable(true));
    for (Path home : List.of(old, folder.resolve("no-jdk"))) {
      Command.Outcome outcome =
          Command.run(
              List.of("env", "PARALLELCOMP_JAVA_HOME=" + home, "../parallelcomp", "backends"));
      assertEquals(
          "parallelcomp: PARALLELCOMP_JAVA_HOME, "
              + home
              + ", is not a JDK of version 25 or newer.\n",
          outcome.err());
      assertEquals("", outcome.out());
      assertEquals(2, outcome.status());
    }
  }

  /** An older Java cannot run a line of ours; what it says must at least name the version. */
  @Test
  void anOlderJavaNamesTheVersion() throws IOException {
    Path older = olderJava();
    assumeTrue(older != null, "no older Java is installed here");
    Command.Outcome jar =
        Command.run(
            List.of(
                older.toString(),
                "-jar",
                Artifacts.jars().get("parallelcomp-cli").toString(),
                "--version"));
    assertTrue(jar.err().contains("UnsupportedClassVersionError"), jar.err());
    assertTrue(jar.err().contains("class file version 69.0"), jar.err());
    assertEquals(1, jar.status());
  }

  private static @Nullable Path olderJava() throws IOException {
    Path homes = Path.of("/usr/lib/jvm");
    if (!Files.isDirectory(homes)) {
      return null;
    }
    try (var all = Files.list(homes)) {
      for (Path home : all.toList()) {
        Path release = home.resolve("release");
        Path java = home.resolve("bin/java");
        if (Files.isReadable(release)
            && Files.isExecutable(java)
            && Pattern.compile("JAVA_VERSION=\"(9|1\\d|2[0-4])\\b")
                .matcher(Files.readString(release))
                .find()) {
          return java;
        }
      }
    }
    return null;
  }

  /** Returns standard output of a command that did what it was told, without a word beside it. */
  private static String done(Command.Outcome outcome) {
    assertEquals("", outcome.err());
    assertEquals(0, outcome.status());
    return outcome.out();
  }

  private static List<String> warningsOf(Command.Outcome outcome, String word) {
    return outcome.warnings().stream().filter(warning -> warning.contains(word)).toList();
  }
}
