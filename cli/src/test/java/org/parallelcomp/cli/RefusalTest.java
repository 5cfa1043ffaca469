package org.parallelcomp.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;

class RefusalTest {
  private final FakeEngine engine = new FakeEngine();

  static Stream<Arguments> refusals() {
    return Stream.of(
        Arguments.of(
            "akk",
            "Unmatched argument at index 0: 'akk'. Did you mean 'ask'? See 'parallelcomp --help'."),
        Arguments.of(
            "ask q", "Missing required option: '--text=FILE'. See 'parallelcomp ask --help'."),
        Arguments.of(
            "ask -t b", "Missing required parameter: 'QUESTION'. See 'parallelcomp ask --help'."),
        Arguments.of(
            "ask q -t b --presett",
            "Unknown option: '--presett'. Did you mean '--preset'? See 'parallelcomp ask --help'."),
        Arguments.of(
            "ask -t b --threads many q",
            "Invalid value for option '--threads': 'many' is not an int. See 'parallelcomp ask"
                + " --help'."),
        Arguments.of("ask -t b --threads 0 q", "The number of threads must be at least 1, not 0."),
        Arguments.of(
            "ask -t b --max-tokens 0 q",
            "The most tokens of the answer must be at least 1, not 0."),
        Arguments.of(
            "ask -t b --top-p 2 q", "The top-p must be greater than 0 and at most 1, not 2.0."),
        Arguments.of(
            "ask -t b --preset paralelcomp q",
            "There is no preset 'paralelcomp'; did you mean 'parallelcomp'? There is: full,"
                + " parallelcomp."),
        Arguments.of(
            "ask -t b --preset full --pool 3 q",
            "--pool does not fit: the token-scorer of the plan is 'none', which has no parameters,"
                + " not 'pool'."),
        Arguments.of(
            "ask -t b --chunk-tokens -1 q",
            "--chunk-tokens: chunking.tokens must be a whole number of at least 0, not -1."),
        Arguments.of("ask -t b --keep-tokens x q", "tokens: keep must be a whole number, not 'x'."),
        Arguments.of(
            "ask -t b --set chunking=3 q",
            "--set must be of the form kind.parameter=value, not 'chunking'."),
        Arguments.of(
            "ask -t b --set chunkin.tokens=3 q",
            "There is no kind of policy 'chunkin'; did you mean 'chunking'? There is: budget,"
                + " calibration, chunk-eviction, chunk-scorer, chunking, merge, schedule, selector,"
                + " token-scorer."),
        Arguments.of(
            "ask -t b --policy budget=token q",
            "There is no budget 'token'; did you mean 'tokens'? There is: tokens."),
        Arguments.of(
            "ask -t b --question-form Q q",
            "The question form must hold {question} exactly once: 'Q'."),
        Arguments.of("ask -t absent.txt q", "There is no file absent.txt."),
        Arguments.of(
            "policies nothing",
            "There is no policy or preset 'nothing'; there is: best, even, full, none,"
                + " parallelcomp, plain, tokens, window-attention."));
  }

  @ParameterizedTest
  @MethodSource("refusals")
  void saysOneSentenceBeforeAnythingIsLoaded(String line, String sentence) {
    Run run = Run.of(engine, line.split(" "));

    assertEquals("parallelcomp: " + sentence + "\n", run.err());
    assertEquals("", run.out());
    assertEquals(2, run.status());
    assertTrue(engine.opened.isEmpty());
  }

  @Test
  void refusesAnEmptyQuestion() {
    Run run = Run.of(engine, "ask", "-t", "b", " ");

    assertEquals("parallelcomp: The question is empty.\n", run.err());
    assertEquals(2, run.status());
  }

  @ParameterizedTest
  @CsvSource({
    "INVALID_TEXT, 2",
    "UNSUPPORTED_MODEL, 3",
    "OUT_OF_MEMORY, 4",
    "DEVICE_FAILURE, 5",
    "INTERNAL, 70"
  })
  void statusFollowsTheCategory(ErrorCode code, int status) {
    engine.failure = new InferenceException(code, "Something is wrong\n with it.");

    Run run = Run.of(engine, "ask", "-t", "b", "q");

    assertEquals(status, run.status());
    assertEquals("parallelcomp: Something is wrong with it.\n", run.err());
    assertEquals(1, engine.closed, "the model is closed whatever happens");
  }

  @Test
  void memoryOfJavaIsAResource() {
    engine.failure = new OutOfMemoryError("Java heap space");

    Run run = Run.of(engine, "ask", "-t", "b", "q");

    assertEquals(4, run.status());
    assertEquals(
        "parallelcomp: Java ran out of memory (Java heap space); allow more with"
            + " PARALLELCOMP_JAVA_OPTS=-Xmx4g.\n",
        run.err());
  }

  @Test
  void errorsOfJavaAreFaultsToo() {
    engine.failure = new NoClassDefFoundError("a/Missing");

    Run run = Run.of(engine, "ask", "-t", "b", "q");

    assertEquals(70, run.status());
    assertTrue(run.err().contains("NoClassDefFoundError: a/Missing"), run.err());
  }

  @Test
  void faultsAreOneSentenceUnlessVerbose() {
    engine.failure = new IllegalStateException("broken");

    Run run = Run.of(engine, "ask", "-t", "b", "q");
    assertEquals(70, run.status());
    assertEquals(
        "parallelcomp: A fault of this program: java.lang.IllegalStateException: broken;"
            + " PARALLELCOMP_DEBUG=1 shows where it happened.\n",
        run.err());

    assertTrue(
        Run.of(engine, "ask", "--verbose", "-t", "b", "q").err().contains("\tat org.parallelcomp"));
  }

  @Test
  void withoutArgumentsShowsHelp() {
    Run run = Run.of(engine);

    assertEquals(2, run.status());
    assertTrue(run.err().contains("Usage: parallelcomp"), run::err);
  }
}
