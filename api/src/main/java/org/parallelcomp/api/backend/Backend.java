package org.parallelcomp.api.backend;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/**
 * An open backend: memory, transfers and four families of operations.
 *
 * <p>Dimension words used throughout: {@code layers, queryHeads, kvHeads, tokens, headDim,
 * hiddenDim, vocab, sequences}. Operations write to the tensors given first, read the others, and
 * must not be called with tensors of another backend. Calls from several threads are safe as long
 * as no tensor is written by one while another uses it.
 *
 * <p>Use of a closed backend or scope, or of a tensor whose scope is closed, is refused with
 * INTERNAL; arguments that do not fit one another with INTERNAL or INVALID_ARGUMENT, and then
 * nothing was written. All that a backend must do stands as numbered rules in {@code
 * docs/spec/backend.md}, which the conformance kit tests.
 */
public interface Backend extends AutoCloseable {
  /** Returns facts about the device; memory figures are of this moment. */
  BackendInfo info();

  /** Returns how this backend is used at its best; the same at every call. */
  default BackendTraits traits() {
    return BackendTraits.DEFAULT;
  }

  /** Returns whether a call would be served. What is not supported must throw UNSUPPORTED. */
  boolean supports(OpCall call);

  /** Opens a scope below the backend's own. */
  MemoryScope openScope(String name);

  /**
   * Returns a read-only tensor over bytes of a file, which stay mapped or uploaded until the scope
   * closes. Backends that can compute on the file's bytes must not copy them.
   *
   * @throws org.parallelcomp.api.error.InferenceException FILE_NOT_READABLE if the file is shorter
   *     than the region or cannot be mapped, CORRUPT_FILE if the region is not of the size that the
   *     shape needs
   */
  Tensor load(MemoryScope scope, FileRegion region, DType dtype, Shape shape);

  /** Returns the transfers between host and backend. */
  HostTransfer host();

  /** Returns the tensor operations that policies use; results are allocated in the given scope. */
  TensorOps tensorOps(MemoryScope results);

  /** Returns the operations of the decoder layers. */
  DecoderOps decoder();

  /** Returns the attention operations. */
  AttentionOps attention();

  /** Returns the operations on key-value caches. */
  CacheOps cache();

  /**
   * Optional. Attention of a layer and everything behind it; the default attends, and hands what it
   * attended to on. A backend that attends in another type than F32 need not write it as F32 in
   * between.
   *
   * <pre>
   * attended, logSumExp = attend(queries)
   * hidden = attentionOutputAndFeedForward(hidden, attended)
   *
   * hidden    [tokens, hiddenDim], read and written
   * logSumExp [queryHeads, tokens], or null
   * queries   [tokens, queryHeads, headDim]
   * </pre>
   *
   * @param scale as in {@link AttentionOps#attend}
   * @param sequences as in {@link AttentionOps#attend}
   */
  default void attendAndFeedForward(
      Tensor hidden,
      @Nullable Tensor logSumExp,
      Tensor queries,
      float scale,
      List<AttendSequence> sequences,
      AttentionBlock attention,
      FeedForwardBlock feedForward,
      Scratch scratch) {
    Tensor attended = scratch.take("attended", queries.shape().toArray());
    attention().attend(attended, logSumExp, queries, scale, sequences);
    decoder().attentionOutputAndFeedForward(hidden, attended, attention, feedForward, scratch);
  }

  /**
   * Returns a copy of a layer that another open backend of the same provider holds, on another
   * device perhaps, without a slot too many. Backends with a shorter way than over the host's
   * arrays should take it.
   *
   * @param scope where the copy lives; one of this backend
   * @param source the backend that holds the layer; no thread may write to the layer meanwhile
   */
  default KvLayer copyOf(MemoryScope scope, Backend source, KvLayer layer) {
    KvLayer copy = cache().allocate(scope, layer.keys().dtype(), layer.tokens(), layer.headDim());
    for (int head = 0; head < layer.kvHeads(); head++) {
      int tokens = layer.tokens(head);
      if (tokens == 0) {
        continue;
      }
      int from = layer.firstSlot(head);
      int to = copy.firstSlot(head);
      // Heads may hold different numbers of tokens, and are appended to alike: one by one.
      var target =
          new KvLayer(
              copy.keys().slice(0, to, to + tokens),
              copy.values().slice(0, to, to + tokens),
              copy.positions().slice(0, to, to + tokens),
              new int[] {tokens});
      try (MemoryScope step = scope.child("copy")) {
        Shape shape = Shape.of(tokens, 1, layer.headDim());
        Tensor keys = step.allocate(DType.F32, shape);
        Tensor values = step.allocate(DType.F32, shape);
        Tensor positions = step.allocate(DType.I32, Shape.of(tokens));
        HostTransfer there = source.host();
        host()
            .copyFromHost(keys, there.copyToHostFloats(layer.keys().slice(0, from, from + tokens)));
        host()
            .copyFromHost(
                values, there.copyToHostFloats(layer.values().slice(0, from, from + tokens)));
        host()
            .copyFromHost(
                positions, there.copyToHostInts(layer.positions().slice(0, from, from + tokens)));
        cache().append(target, keys, values, positions);
      }
      copy.setTokens(head, tokens);
    }
    return copy;
  }

  /** Frees everything. Closing twice is harmless. */
  @Override
  void close();
}
