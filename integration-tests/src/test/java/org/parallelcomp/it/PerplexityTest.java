package org.parallelcomp.it;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendConfig;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.engine.load.ModelFiles;
import org.parallelcomp.engine.load.ModelSource;
import org.parallelcomp.engine.model.Decoder;
import org.parallelcomp.engine.model.DecoderWeights;
import org.parallelcomp.engine.model.LayerCaches;
import org.parallelcomp.engine.model.RopeTable;
import org.parallelcomp.engine.model.SequenceInput;
import org.parallelcomp.engine.registry.BackendRegistry;
import org.parallelcomp.engine.text.TextTokenizer;

/**
 * Perplexity of a text that no training step has seen is that of the model's reference
 * implementation (PyTorch, float32): of the F16 weights on Moby-Dick, 16 passages of 2048 tokens
 * from token 30,000 on. These are all the passages behind the reference's figure, so that the two
 * differ by arithmetic only: the first six digits were equal when this was written.
 */
class PerplexityTest {
  private static final Path MODEL =
      Path.of("../engine/src/test/resources/needle-6m/needle-6m-f16.gguf");

  /** By the model's evaluation; its README rounds it to 52.2. */
  private static final double REFERENCE = 52.2476;

  private static final int TOKENS = 2048;
  private static final int PASSAGES = 16;
  private static final int FIRST_TOKEN = 30_000;

  /** The evaluation encoded the books in pieces of so many characters. */
  private static final int PIECE_CHARS = 200_000;

  /** Rows whose logits are held at once. */
  private static final int ROWS = 256;

  @Test
  void ofAHeldOutBookIsThatOfTheReference() {
    ModelSource source = ModelFiles.open(MODEL);
    int[] book;
    try (var tokenizer = new TextTokenizer(source.tokenizer())) {
      book = encode(tokenizer, MobyDick.text());
    }
    double sum = 0;
    try (Backend backend = BackendRegistry.discover().open(null, new BackendConfig(2, Map.of()));
        MemoryScope scope = backend.openScope("perplexity");
        Decoder decoder =
            new Decoder(
                backend,
                source.config(),
                DecoderWeights.load(backend, scope, source),
                scope,
                RopeTable.create(backend, scope, source.config().rope(), TOKENS))) {
      for (int passage = 0; passage < PASSAGES; passage++) {
        int from = FIRST_TOKEN + passage * TOKENS;
        sum += logLikelihood(decoder, scope, Arrays.copyOfRange(book, from, from + TOKENS));
      }
    }
    double perplexity = Math.exp(-sum / (PASSAGES * (TOKENS - 1)));
    System.out.printf("perplexity of Moby-Dick at %d tokens: %.4f%n", TOKENS, perplexity);
    assertEquals(REFERENCE, perplexity, 0.001 * REFERENCE);
  }

  /** The sum of log p(token | tokens before it), of all tokens but the first. */
  private static double logLikelihood(Decoder decoder, MemoryScope scope, int[] passage) {
    try (MemoryScope caches = scope.child("passage")) {
      int[] read = Arrays.copyOf(passage, passage.length - 1);
      LayerCaches layers = LayerCaches.growing(decoder.allocateLayers(caches, read.length));
      Tensor hidden =
          decoder.forward(List.of(new SequenceInput(read, 0, read.length, layers))).getFirst();
      double sum = 0;
      for (int row = 0; row < read.length; row += ROWS) {
        int end = Math.min(read.length, row + ROWS);
        int[] targets = Arrays.copyOfRange(passage, row + 1, end + 1);
        for (float logLikelihood : decoder.logLikelihood(hidden.slice(0, row, end), targets)) {
          sum += logLikelihood;
        }
      }
      return sum;
    }
  }

  private static int[] encode(TextTokenizer tokenizer, String text) {
    return IntStream.iterate(0, at -> at < text.length(), at -> at + PIECE_CHARS)
        .mapToObj(at -> text.substring(at, Math.min(text.length(), at + PIECE_CHARS)))
        .flatMapToInt(piece -> Arrays.stream(tokenizer.encode(piece).ids()))
        .toArray();
  }
}
