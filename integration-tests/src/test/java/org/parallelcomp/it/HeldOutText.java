package org.parallelcomp.it;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
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

/** A model on a backend, asked how likely passages of Moby-Dick are to it. */
final class HeldOutText implements AutoCloseable {
  /** Tokens of a passage. */
  static final int TOKENS = 2048;

  private static final int FIRST_TOKEN = 30_000;

  /** The evaluation encoded the books in pieces of so many characters. */
  private static final int PIECE_CHARS = 200_000;

  /** Rows whose logits are held at once. */
  private static final int ROWS = 256;

  private final Backend backend;
  private final MemoryScope scope;
  private final Decoder decoder;
  private final int[] book;

  private HeldOutText(Backend backend, ModelSource source) {
    this.backend = backend;
    this.scope = backend.openScope("held-out");
    this.decoder =
        new Decoder(
            backend,
            source.config(),
            DecoderWeights.load(backend, scope, source),
            scope,
            RopeTable.create(backend, scope, source.config().rope(), TOKENS));
    try (var tokenizer = new TextTokenizer(source.tokenizer())) {
      this.book = encode(tokenizer, MobyDick.text());
    }
  }

  /** Opens a model on a backend, or on the best one for null. */
  static HeldOutText open(Path model, @Nullable String backend, Map<String, String> options) {
    return new HeldOutText(
        BackendRegistry.discover().open(backend, new BackendConfig(2, options)),
        ModelFiles.open(model));
  }

  private static int[] encode(TextTokenizer tokenizer, String text) {
    return IntStream.iterate(0, at -> at < text.length(), at -> at + PIECE_CHARS)
        .mapToObj(at -> text.substring(at, Math.min(text.length(), at + PIECE_CHARS)))
        .flatMapToInt(piece -> Arrays.stream(tokenizer.encode(piece).ids()))
        .toArray();
  }

  /** Returns the perplexity of so many passages, given the tokens before each in its passage. */
  double perplexity(int passages) {
    double sum = 0;
    for (int passage = 0; passage < passages; passage++) {
      sum += logLikelihood(passage(passage));
    }
    return Math.exp(-sum / (passages * (TOKENS - 1.0)));
  }

  /** Returns the perplexity of the first tokens of the first passage, passed one by one. */
  double perplexityWhileDecoding(int tokens) {
    int[] passage = Arrays.copyOf(passage(0), tokens);
    try (MemoryScope caches = scope.child("decoding")) {
      LayerCaches layers = LayerCaches.growing(decoder.allocateLayers(caches, tokens));
      double sum = 0;
      for (int i = 0; i < tokens - 1; i++) {
        int[] token = {passage[i]};
        Tensor hidden = decoder.forward(List.of(new SequenceInput(token, i, 1, layers))).getFirst();
        sum += decoder.logLikelihood(hidden, new int[] {passage[i + 1]})[0];
      }
      return Math.exp(-sum / (tokens - 1));
    }
  }

  private int[] passage(int index) {
    int from = FIRST_TOKEN + index * TOKENS;
    return Arrays.copyOfRange(book, from, from + TOKENS);
  }

  /** The sum of log p(token | tokens before it), of all tokens but the first. */
  private double logLikelihood(int[] passage) {
    try (MemoryScope caches = scope.child("passage")) {
      int[] read = Arrays.copyOf(passage, passage.length - 1);
      Tensor hidden = forward(caches, read, read.length);
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

  private Tensor forward(MemoryScope caches, int[] tokens, int outputRows) {
    LayerCaches layers = LayerCaches.growing(decoder.allocateLayers(caches, tokens.length));
    return decoder.forward(List.of(new SequenceInput(tokens, 0, outputRows, layers))).getFirst();
  }

  /** Returns the logits behind the last tokens of a passage, {@code [rows][vocab]} in one line. */
  float[] lastLogits(int passage, int rows) {
    try (MemoryScope caches = scope.child("passage")) {
      Tensor hidden = forward(caches, passage(passage), rows);
      return backend.host().copyToHostFloats(decoder.logits(hidden));
    }
  }

  /** Returns the number of logits behind a token. */
  int vocab() {
    return decoder.config().vocab();
  }

  @Override
  public void close() {
    decoder.close();
    scope.close();
    backend.close();
  }
}
