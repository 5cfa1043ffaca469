package org.parallelcomp.engine.generate;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.engine.Cancellation;
import org.parallelcomp.engine.model.ContextWeighting;
import org.parallelcomp.engine.model.Decoder;
import org.parallelcomp.engine.model.SequenceInput;

/**
 * The caches of a context that outlives its questions. Each question and its answer are appended
 * behind the context; {@link #rewind} forgets them.
 */
final class HeldCaches implements DecodingCaches {
  private final Backend backend;
  private final MemoryScope scope;
  private final List<OwnedLayer> layers;
  private final List<ContextWeighting> weightings;
  private final List<int[]> contextTokens;
  private final int positionBehind;
  private int nextPosition;

  /**
   * @param scope parent of the layers' own scopes
   * @param layers hold the context and nothing else
   * @param weightings how each layer's attention to it is weighed; empty for plain attention
   * @param positionBehind position of the first token behind the context
   */
  HeldCaches(
      Backend backend,
      MemoryScope scope,
      List<OwnedLayer> layers,
      List<ContextWeighting> weightings,
      int positionBehind) {
    this.backend = backend;
    this.scope = scope;
    this.layers = new ArrayList<>(layers);
    this.weightings = weightings;
    this.contextTokens = layers.stream().map(owned -> owned.layer().tokens()).toList();
    this.positionBehind = positionBehind;
    this.nextPosition = positionBehind;
  }

  /** Returns the position of the first token behind the context. */
  int positionBehind() {
    return positionBehind;
  }

  /** Returns how many tokens a head can take behind the context as it is now. */
  int room() {
    return layers.stream().mapToInt(OwnedLayer::room).min().orElse(0);
  }

  /** Returns the most tokens of the context that any head holds. */
  int longest() {
    return layers.stream().mapToInt(owned -> owned.layer().maxTokens()).max().orElse(0);
  }

  /** Makes room for so many tokens behind the context, one layer after the other. */
  void makeRoom(int tokens) {
    for (int layer = 0; layer < layers.size(); layer++) {
      if (layers.get(layer).room() < tokens) {
        layers.set(layer, layers.get(layer).grow(backend, scope, tokens));
      }
    }
  }

  /**
   * Runs a question behind the context.
   *
   * @return the hidden state of its last token, {@code [1, hiddenDim]}
   */
  Tensor run(
      Decoder decoder, int[] queryIds, Cancellation cancellation, BlockPrefill.Listener listener) {
    Tensor hidden =
        BlockPrefill.forward(
            decoder, new SequenceInput(queryIds, positionBehind, 1, this), cancellation, listener);
    nextPosition = positionBehind + queryIds.length;
    return hidden;
  }

  /** Forgets everything behind the context, however far a question has come. */
  void rewind() {
    for (int layer = 0; layer < layers.size(); layer++) {
      int[] tokens = contextTokens.get(layer);
      for (int head = 0; head < tokens.length; head++) {
        layers.get(layer).layer().setTokens(head, tokens[head]);
      }
    }
    nextPosition = positionBehind;
  }

  @Override
  public KvLayer open(int layer) {
    return layers.get(layer).layer();
  }

  @Override
  public @Nullable ContextWeighting weighting(int layer) {
    return weightings.isEmpty() ? null : weightings.get(layer);
  }

  @Override
  public int logSumExpRows(int layer) {
    return 0;
  }

  @Override
  public void close(int layer, Attended attended) {}

  @Override
  public int nextPosition() {
    return nextPosition;
  }

  @Override
  public void afterToken() {
    nextPosition++;
  }

  @Override
  public long bytes() {
    return layers.stream().mapToLong(owned -> owned.layer().keptBytes()).sum();
  }

  @Override
  public int cuts() {
    return 0;
  }
}
