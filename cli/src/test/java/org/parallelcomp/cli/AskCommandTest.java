package org.parallelcomp.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.engine.EngineConfig;
import org.parallelcomp.engine.FinishReason;
import org.parallelcomp.engine.GenerationRequest;
import org.parallelcomp.engine.PromptForm;
import org.parallelcomp.engine.Sampling;

class AskCommandTest {
  private static final String WARNING = "parallelcomp: warning: The text is short.\n";

  private final FakeEngine engine = new FakeEngine();

  @Test
  void asksTheBundledModelByTheDefaultPreset() {
    Run run = Run.of(engine, "ask", "--text", "book.txt", "Where is the key?");

    assertEquals(0, run.status(), run::err);
    GenerationRequest request = engine.requests.getFirst();
    assertEquals(FakeEngine.TEXT, request.text());
    assertEquals("Where is the key?", request.question());
    assertEquals(engine.policies(null).preset("parallelcomp").plan(), request.plan());
    assertEquals(new PromptForm("", "\n{question}", ""), request.form(), "the model's own form");
    assertEquals(Sampling.GREEDY, request.sampling());
    assertEquals(GenerationRequest.DEFAULT_MAX_TOKENS, request.maxTokens());
    assertEquals(EngineConfig.of(Path.of("bundled.gguf")), engine.opened.getFirst());
    assertEquals(1, engine.closed);
  }

  @Test
  void everyOptionReachesTheEngine() {
    Run run =
        Run.of(
            engine,
            ("ask -t book.txt -m other.gguf --backend cpu-vector --threads 3 --backend-option"
                    + " width=128 --backend-option a=b=c --chunk-tokens 300 --keep-chunks 4"
                    + " --keep-tokens 64 --window 16 --pool 7 --set chunking.tokens=100"
                    + " --instruction Read: --question-form Q:{question} --answer-lead A:"
                    + " --temperature 0.5 --top-k 40 --top-p 0.9 --min-p 0.05"
                    + " --repetition-penalty 1.1 --seed -7 --max-tokens 9 --stop x --stop y q")
                .split(" "));

    assertEquals(0, run.status(), run::err);
    EngineConfig config = engine.opened.getFirst();
    assertEquals(
        new EngineConfig(
            Path.of("other.gguf"),
            "cpu-vector",
            3,
            Map.of("width", "128", "a", "b=c"),
            List.of(),
            null),
        config);
    GenerationRequest request = engine.requests.getFirst();
    assertEquals("even(tokens=300)", request.plan().policy(PolicyKind.CHUNKING).toString());
    assertEquals("best(chunks=4)", request.plan().policy(PolicyKind.CHUNK_EVICTION).toString());
    assertEquals("tokens(keep=64)", request.plan().policy(PolicyKind.BUDGET).toString());
    assertEquals(
        "window-attention(pool=7, window=16)",
        request.plan().policy(PolicyKind.TOKEN_SCORER).toString());
    assertEquals(new PromptForm("Read:", "Q:{question}", "A:"), request.form());
    assertEquals(new Sampling(1.1, 0.5, 40, 0.9, 0.05, -7), request.sampling());
    assertEquals(9, request.maxTokens());
    assertEquals(List.of("x", "y"), request.stopStrings());
  }

  @Test
  void optionsOfOnnxChooseItsBackend() {
    Run run =
        Run.of(
            engine,
            "ask -t book.txt --onnx-precision int4 --onnx-provider cpu --backend-option a=b q"
                .split(" "));

    assertEquals(0, run.status(), run::err);
    assertEquals(
        new EngineConfig(
            Path.of("bundled.gguf"),
            "onnx",
            engine.opened.getFirst().threads(),
            Map.of("a", "b", "precision", "int4", "provider", "cpu"),
            List.of(),
            null),
        engine.opened.getFirst());
  }

  @Test
  void optionsOfOnnxFitNoOtherBackend() {
    Run other =
        Run.of(engine, "ask -t book.txt --backend cpu-vector --onnx-provider cuda q".split(" "));
    assertEquals(2, other.status());
    assertTrue(
        other.err().contains("--onnx-provider belongs to the backend onnx, not to cpu-vector"),
        other::err);
    Run twice =
        Run.of(
            engine,
            "ask -t book.txt --onnx-precision f32 --backend-option precision=int8 q".split(" "));
    assertEquals(2, twice.status());
    assertTrue(
        twice.err().contains("--onnx-precision f32 contradicts --backend-option precision=int8"),
        twice::err);
    assertEquals(List.of(), engine.opened);
  }

  @Test
  void policyOptionReplacesAPolicy() {
    Run.of(engine, "ask", "-t", "b", "--policy", "token-scorer=none", "-p", "parallelcomp", "q");

    assertEquals(
        "none", engine.requests.getFirst().plan().policy(PolicyKind.TOKEN_SCORER).toString());
  }

  @Test
  void readsStandardInput() {
    byte[] input = "\uFEFFSchön ist es.".getBytes(StandardCharsets.UTF_8);

    assertEquals(0, Run.of(engine, input, false, "ask", "--text", "-", "q").status());
    assertEquals("Schön ist es.", engine.requests.getFirst().text());
  }

  @Test
  void refusesStandardInputThatIsNotText() {
    byte[] input = {'a', 'b', (byte) 0xC3, 'c'};

    Run run = Run.of(engine, input, false, "ask", "--text", "-", "q");

    assertEquals(2, run.status());
    assertEquals(
        "parallelcomp: Standard input is not UTF-8 text: byte 2 does not fit.\n", run.err());
    assertTrue(engine.opened.isEmpty(), "nothing is loaded for a text that cannot be used");
    assertEquals(
        "parallelcomp: Standard input is no text: it holds a zero byte at offset 1.\n",
        Run.of(engine, new byte[] {'a', 0, 'b'}, false, "ask", "--text", "-", "q").err());
    assertEquals(
        "parallelcomp: Standard input holds no text.\n",
        Run.of(engine, new byte[] {'\n'}, false, "ask", "--text", "-", "q").err());
    assertTrue(engine.opened.isEmpty());
  }

  @Test
  void printsAnswerPassagesAndFigures() {
    Run run = Run.of(engine, "ask", "--text", "book.txt", "q");

    assertEquals(
        """
        in the lighthouse

        From 2 passages of 70, the one that explains the question best first:
          chunk 7, characters 12,000 to 12,089, self-information 0.250 nats
            at 12,000: It was a cloudy afternoon. Mira keeps the silver key in the lighthouse. \
        The sea was calm.
          chunk 2, characters 1,000 to 1,021
            at 1,000: Call me Ishmael. Now.

        131,102 tokens in, 2 of 70 chunks kept, KV cache 768 MiB -> 1.43 MiB, read 0.50 s, \
        prefill 10.00 s + merge 0.00 s (14,000 tokens/s), decode 0.02 s (100 tokens/s), \
        first token after 10.60 s
        """,
        run.out());
    assertEquals(WARNING, run.err());
  }

  @Test
  void quietPrintsTheAnswerAlone() {
    assertEquals("in the lighthouse\n", Run.of(engine, "ask", "-q", "-t", "b", "q").out());
  }

  @Test
  void progressGoesToATerminalOnly() {
    String bar = "prefill [########........] 35/70 chunks  13,000 tokens/s  0:05 left";

    assertTrue(Run.of(engine, new byte[0], true, "ask", "-t", "b", "q").err().contains(bar));
    for (String off : List.of("--quiet", "--no-progress")) {
      assertEquals(WARNING, Run.of(engine, new byte[0], true, "ask", off, "-t", "b", "q").err());
    }
  }

  @Test
  void interruptedRequestSaysSo() {
    engine.finishReason = FinishReason.CANCELLED;

    Run run = Run.of(engine, "ask", "-t", "b", "q");

    assertEquals(130, run.status());
    assertTrue(run.err().endsWith("parallelcomp: Interrupted.\n"), run::err);
  }

  @Test
  void readerThatWentAwayEndsTheRequestWithoutAWord() {
    var err = new ByteArrayOutputStream();
    var gone =
        new OutputStream() {
          @Override
          public void write(int b) throws IOException {
            throw new IOException("Broken pipe");
          }
        };
    var streams =
        new Streams(
            InputStream.nullInputStream(), new PrintStream(gone), new PrintStream(err), false);

    new ParallelComp(engine, streams).run("ask", "-t", "b", "q");

    assertTrue(engine.requests.getFirst().cancellation().isCancelled());
    assertEquals(WARNING, err.toString(StandardCharsets.UTF_8));
  }

  @Test
  void withoutProgressNothingIsErased() {
    assertFalse(Run.of(engine, "ask", "-t", "b", "q").err().contains("\u001b"));
  }

  @Test
  void generateContinuesAPromptWithoutPlan() {
    Run run = Run.of(engine, "generate", "--chat", "--max-tokens", "5", "Once upon");

    assertEquals(0, run.status(), run::err);
    GenerationRequest request = engine.requests.getFirst();
    assertNull(request.text());
    assertNull(request.plan());
    assertEquals("Once upon", request.question());
    assertTrue(request.chat());
    assertEquals(5, request.maxTokens());
  }
}
