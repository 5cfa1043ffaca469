package org.parallelcomp.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.parallelcomp.models.needle6m.Needle6m;

/**
 * Whatever is wrong with what a user gives: an exit status by category, one sentence on standard
 * error, nothing on standard output, no stack trace.
 */
@Tag("packaged")
class BadInputTest {
  private static final int USER = 2;
  private static final int UNSUPPORTED = 3;
  private static final int RESOURCES = 4;

  private static final String QUESTION = "Where does Mira keep the silver key?";
  private static final String PRESETS =
      "adakv, chunkkv, compactor, criticalkv, expected-attention, finch, full, h2o, keydiff, lagkv,"
          + " parallelcomp, parallelcomp-adaptive, parallelcomp-calibrated, parallelcomp-paper,"
          + " parallelcomp-reread, pyramidkv, snapkv, streaming-llm, tova";
  private static final String DTYPES =
      "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K";

  @TempDir private static Path folder;
  private static byte[] model;

  @BeforeAll
  static void writeFiles() throws IOException {
    write("good.txt", "It was a dark night. Mira keeps the silver key in the lighthouse.\n");
    write("empty.txt", "");
    write("blank.txt", " \n\t\n");
    write("binary.txt", "abc\0def");
    Files.write(folder.resolve("latin-1.txt"), "Grüße".getBytes(StandardCharsets.ISO_8859_1));
    Files.write(folder.resolve("cut.txt.gz"), Arrays.copyOf(gzip("hello ".repeat(1000)), 25));

    model = Files.readAllBytes(Needle6m.path());
    Files.write(folder.resolve("half.gguf"), Arrays.copyOf(model, model.length / 2));
    Files.write(folder.resolve("header.gguf"), Arrays.copyOf(model, 1000));
    Files.write(folder.resolve("empty.gguf"), new byte[0]);
    damaged("version.gguf", 4, 9);
    // The first value behind its key is the name, after a type and a length.
    damaged("mamba.gguf", after("general.architecture") + 12, "mamba");
    // Behind a tensor's name stand its rank, two extents and its type.
    damaged("iq2.gguf", after("token_embd.weight") + 20, 16);
    damaged("type.gguf", after("token_embd.weight") + 20, 200);
    damaged("extent.gguf", after("token_embd.weight") + 4, Integer.MAX_VALUE);
  }

  private static void write(String name, String text) throws IOException {
    Files.writeString(folder.resolve(name), text);
  }

  private static byte[] gzip(String text) throws IOException {
    var packed = new ByteArrayOutputStream();
    try (var out = new GZIPOutputStream(packed)) {
      out.write(text.getBytes(StandardCharsets.UTF_8));
    }
    return packed.toByteArray();
  }

  private static void damaged(String name, int offset, int value) throws IOException {
    byte[] bytes = model.clone();
    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putInt(offset, value);
    Files.write(folder.resolve(name), bytes);
  }

  private static void damaged(String name, int offset, String value) throws IOException {
    byte[] bytes = model.clone();
    ByteBuffer.wrap(bytes).put(offset, value.getBytes(StandardCharsets.UTF_8));
    Files.write(folder.resolve(name), bytes);
  }

  /** Returns the offset behind the first place of a name in the model. */
  private static int after(String name) {
    return new String(model, StandardCharsets.ISO_8859_1).indexOf(name) + name.length();
  }

  /** Options of ask beside text and question, the status, and the sentence. */
  static Stream<Arguments> refusals() {
    return Stream.of(
        // Texts.
        refusal(USER, "There is no text file '@/absent.txt'.", "-t", "@/absent.txt"),
        refusal(USER, "'@' is a folder; give a text file.", "-t", "@"),
        refusal(USER, "'@/empty.txt' holds no text.", "-t", "@/empty.txt"),
        refusal(USER, "'@/blank.txt' holds no text.", "-t", "@/blank.txt"),
        refusal(
            USER,
            "'@/binary.txt' is no text: it holds a zero byte at offset 3.",
            "-t",
            "@/binary.txt"),
        refusal(
            USER,
            "'@/latin-1.txt' is not UTF-8: the byte at offset 2 is invalid.",
            "-t",
            "@/latin-1.txt"),
        refusal(
            USER,
            "'@/cut.txt.gz' is a damaged gzip file: Unexpected end of ZLIB input stream.",
            "-t",
            "@/cut.txt.gz"),
        refusal(USER, "Standard input holds no text.", "-t", "-"),

        // Models.
        refusal(
            USER, "There is no model file or folder '@/absent.gguf'.", "--model", "@/absent.gguf"),
        refusal(
            USER,
            "'@/good.txt' is no model file: a GGUF file begins with the letters GGUF, and"
                + " safetensors are given as their folder.",
            "--model",
            "@/good.txt"),
        refusal(
            USER,
            "'@/empty.gguf' is no model file: a GGUF file begins with the letters GGUF, and"
                + " safetensors are given as their folder.",
            "--model",
            "@/empty.gguf"),
        refusal(
            UNSUPPORTED,
            "'@/version.gguf' is a GGUF file of version 9; versions 2 and 3 are supported.",
            "--model",
            "@/version.gguf"),
        refusal(
            UNSUPPORTED,
            "'@/mamba.gguf' has the architecture 'mamba'; supported in GGUF files are llama,"
                + " qwen2, qwen3.",
            "--model",
            "@/mamba.gguf"),
        refusal(
            UNSUPPORTED,
            "'@/iq2.gguf' holds 'token_embd.weight' as IQ2_XXS; supported are " + DTYPES + ".",
            "--model",
            "@/iq2.gguf"),

        // Names.
        refusal(
            USER,
            "There is no preset 'paralelcomp'; did you mean 'parallelcomp'? There is: "
                + PRESETS
                + ".",
            "--preset",
            "paralelcomp"),
        refusal(
            USER,
            "There is no preset 'everything'; there is: " + PRESETS + ".",
            "--preset",
            "everything"),
        refusal(
            USER,
            "There is no backend 'cpu-vektor'; did you mean 'cpu-vector'? There is: cpu-vector,"
                + " cuda-ffm.",
            "--backend",
            "cpu-vektor"),
        refusal(
            USER,
            "There is no budget 'token'; did you mean 'tokens'? There is: bytes, everything,"
                + " fraction, per-layer, pyramid, shared-tokens, tokens.",
            "--policy",
            "budget=token"),
        refusal(
            USER,
            "There is no kind of policy 'budgets'; did you mean 'budget'? There is: budget,"
                + " calibration, chunk-eviction, chunk-scorer, chunking, merge, schedule,"
                + " selector, token-scorer.",
            "--policy",
            "budgets=tokens"),
        refusal(
            USER,
            "tokens: There is no parameter 'kep'; did you mean 'keep'? There is: keep.",
            "--policy",
            "budget=tokens(kep=3)"),
        refusal(
            USER,
            "--set does not fit: the token-scorer of the plan is 'window-attention', which has the"
                + " parameters window, pool, pooling, not 'windw'.",
            "--set",
            "token-scorer.windw=3"),
        refusal(
            USER,
            "There is no option of the backend cpu-vector 'vectorbits'; did you mean 'vectorBits'?"
                + " There is: vectorBits.",
            "--backend-option",
            "vectorbits=128"),
        refusal(
            USER,
            "Unknown option: '--presett'. Did you mean '--preset'? See 'parallelcomp ask --help'.",
            "--presett",
            "full"),

        // Budgets and other numbers.
        refusal(
            USER,
            "tokens: keep must be a whole number of at least 1, not 0.",
            "--keep-tokens",
            "0"),
        refusal(
            USER,
            "tokens: keep must be a whole number of at least 1, not -5.",
            "--policy",
            "budget=tokens(keep=-5)"),
        refusal(
            USER,
            "fraction: keep must be a number from 0.0 to 1.0, not 1.5.",
            "--policy",
            "budget=fraction(keep=1.5)"),
        refusal(
            USER,
            "A budget of 1 bytes cannot hold one token of each kept chunk; at least 6144 bytes are"
                + " needed.",
            "--policy",
            "budget=bytes(keep=1)"),
        refusal(
            USER,
            "--keep-chunks: chunk-eviction.chunks must be a whole number of at least 1, not 0.",
            "--keep-chunks",
            "0"),
        refusal(
            USER,
            "The option vectorBits must be 128, 256 or 512, not '100'.",
            "--backend-option",
            "vectorBits=100"),
        refusal(
            USER,
            "A rolling cache of 2000 tokens and 83 tokens behind it do not fit the model's window"
                + " of 2048; keep fewer tokens or make the chunks smaller.",
            "--preset",
            "streaming-llm",
            "--keep-tokens",
            "2000"),
        refusal(
            USER,
            "The question with its prompt takes 23 tokens and the answer up to 2147483647, which"
                + " leaves no room for text in the model's window of 2048 tokens.",
            "--max-tokens",
            "2147483647"),
        refusal(
            USER,
            "Text, prompt and answer may take at most 2147483647 tokens, not 2147483690.",
            "--preset",
            "full",
            "--max-tokens",
            "2147483647"));
  }

  private static Arguments refusal(int status, String sentence, String... options) {
    return Arguments.of(status, sentence, List.of(options));
  }

  @ParameterizedTest(name = "{2}")
  @MethodSource("refusals")
  void isRefusedInOneSentence(int status, String sentence, List<String> options) {
    var arguments = new ArrayList<>(List.of("ask", QUESTION));
    if (!options.contains("-t")) {
      arguments.addAll(List.of("-t", "@/good.txt"));
    }
    arguments.addAll(options);
    assertRefused(status, sentence, run(arguments));
  }

  @Test
  void aQuestionLongerThanTheWindow() {
    Command.Outcome outcome = run(List.of("ask", "-t", "@/good.txt", "word ".repeat(2500)));
    assertRefused(
        USER,
        "The question with its prompt takes 2514 tokens and the answer up to 64, which leaves no"
            + " room for text in the model's window of 2048 tokens.",
        outcome);
  }

  @Test
  void anEmptyQuestionAndAnEmptyPrompt() {
    assertRefused(USER, "The question is empty.", run(List.of("ask", "-t", "@/good.txt", " ")));
    assertRefused(USER, "The prompt is empty.", run(List.of("generate", " ")));
  }

  /**
   * Sizes and counts are checked against the file: the sentence has the offset and what is wrong.
   */
  @ParameterizedTest
  @ValueSource(strings = {"half", "header", "type", "extent"})
  void aDamagedModelIsNamedWithTheOffset(String name) {
    Command.Outcome outcome = run(List.of("inspect", "@/" + name + ".gguf"));
    String file = folder.resolve(name + ".gguf").toString();
    String problem =
        switch (name) {
          case "half" ->
              "tensor '[^']+' of [0-9]+ bytes at [0-9]+ of the data reaches beyond the end of the"
                  + " file \\("
                  + model.length / 2
                  + " bytes\\)";
          case "header" -> "the number of tensors is 56, but only 984 bytes follow";
          case "type" -> "tensor 'token_embd.weight' has the unknown type 200";
          case "extent" ->
              "the rows of tensor 'token_embd.weight' hold 2147483647 numbers, which do not fill"
                  + " blocks of 32 as Q8_0 needs";
          default -> throw new IllegalArgumentException(name);
        };
    Matcher sentence =
        Pattern.compile(
                "parallelcomp: '"
                    + Pattern.quote(file)
                    + "' is damaged at byte ([0-9]+): "
                    + problem
                    + "[.]\n")
            .matcher(outcome.err());
    assertTrue(sentence.matches(), outcome.err());
    assertTrue(Long.parseLong(sentence.group(1)) <= model.length);
    assertEquals(USER, outcome.status());
    assertEquals("", outcome.out());
  }

  /** Half a billion tokens of answer need three terabytes of keys and values. */
  @ParameterizedTest
  @ValueSource(strings = {"ask", "generate"})
  void notEnoughMemoryIsSaidInBytesBeforeAnyIsTaken(String command) {
    var arguments = new ArrayList<>(List.of(command, QUESTION, "--max-tokens", "500000000"));
    if (command.equals("ask")) {
      arguments.addAll(List.of("-t", "@/good.txt", "--preset", "full"));
    }
    Command.Outcome outcome = run(arguments);
    assertEquals(RESOURCES, outcome.status(), outcome::err);
    assertEquals("", outcome.out());
    Matcher sentence =
        Pattern.compile(
                "parallelcomp: This needs ([0-9]+) bytes beside the weights' ([0-9]+) \\(keys and"
                    + " values ([0-9]+), workspace ([0-9]+)\\), but ([0-9]+) are free; cut the text"
                    + " into smaller chunks, keep fewer of them, or shorten it[.]\n")
            .matcher(outcome.err());
    assertTrue(sentence.matches(), outcome.err());
    long cacheBytes = Long.parseLong(sentence.group(3));
    assertTrue(cacheBytes >= 500_000_000L * 6144, outcome.err());
    assertEquals(Long.parseLong(sentence.group(1)), cacheBytes + Long.parseLong(sentence.group(4)));
  }

  @Test
  void aBudgetAboveTheTextIsNoMistake() {
    Command.Outcome outcome =
        Command.onModulePath(
            Command.LAUNCHER_OPTIONS,
            "ask",
            "-q",
            "-t",
            folder.resolve("good.txt").toString(),
            QUESTION,
            "--keep-tokens",
            "1000000000");
    assertEquals("", outcome.err());
    assertEquals("in the lighthouse\n", outcome.out());
    assertEquals(0, outcome.status());
  }

  private static void assertRefused(int status, String sentence, Command.Outcome outcome) {
    assertEquals("parallelcomp: " + sentence.replace("@", folder.toString()) + "\n", outcome.err());
    assertEquals(status, outcome.status());
    assertEquals("", outcome.out());
  }

  /** Runs the command; "@" stands for the folder of the files. */
  private static Command.Outcome run(List<String> arguments) {
    var options = new ArrayList<>(Command.LAUNCHER_OPTIONS);
    // Nothing runs long enough here for the optimising compiler.
    options.add("-XX:TieredStopAtLevel=1");
    return Command.onModulePath(
        options,
        arguments.stream()
            .map(argument -> argument.replace("@", folder.toString()))
            .toArray(String[]::new));
  }
}
