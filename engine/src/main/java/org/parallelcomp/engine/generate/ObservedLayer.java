package org.parallelcomp.engine.generate;

import java.util.List;
import java.util.Set;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.evidence.HeadReduction;
import org.parallelcomp.api.evidence.LayerEvidence;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.engine.model.Decoder;
import org.parallelcomp.engine.model.LayerCaches.Attended;
import org.parallelcomp.engine.model.RopeTable;

/**
 * The evidence of one layer, computed when it is asked for.
 *
 * @param backend computes it
 * @param scope owns what is computed
 * @param decoder the model
 * @param layer the layer, from 0
 * @param firstQueryHead the first of the layer's query heads that are observed
 * @param attended what the attention of these heads saw
 * @param prefixTokens tokens before the context
 * @param contextTokens tokens to choose from
 * @param keptTokens how many of them may stay
 * @param queryTokens tokens behind the context
 * @param positionBehind position of the first token behind the context
 * @param declared the evidence that the policies declared
 */
record ObservedLayer(
    Backend backend,
    MemoryScope scope,
    Decoder decoder,
    int layer,
    int firstQueryHead,
    Attended attended,
    int prefixTokens,
    int contextTokens,
    int keptTokens,
    int queryTokens,
    int positionBehind,
    Set<Evidence> declared)
    implements LayerEvidence {

  @Override
  public int layers() {
    return decoder.config().layers();
  }

  @Override
  public int queryHeads() {
    return attended.queries().shape().intDim(1);
  }

  @Override
  public int kvHeads() {
    return attended.sequence().layer().kvHeads();
  }

  @Override
  public int headDim() {
    return decoder.config().headDim();
  }

  @Override
  public Tensor keys() {
    requireDeclared(Evidence.KEYS);
    return contextOf(attended.sequence().layer().keys());
  }

  @Override
  public Tensor values() {
    requireDeclared(Evidence.VALUES);
    return contextOf(attended.sequence().layer().values());
  }

  /**
   * {@code [slots, headDim]} to F32 {@code [kvHeads, contextTokens, headDim]}: every head has as
   * many slots.
   */
  private Tensor contextOf(Tensor slots) {
    KvLayer kvLayer = attended.sequence().layer();
    Tensor context =
        slots
            .reshape(Shape.of(kvHeads(), kvLayer.capacity(0), headDim()))
            .slice(1, prefixTokens, prefixTokens + contextTokens);
    return context.dtype() == DType.F32 ? context : backend.tensorOps(scope).floats(context);
  }

  /** The positions of the context's keys as a copy, {@code [kvHeads, contextTokens]}. */
  private Tensor contextPositions() {
    KvLayer kvLayer = attended.sequence().layer();
    return copy(
        kvLayer
            .positions()
            .reshape(Shape.of(kvHeads(), kvLayer.capacity(0)))
            .slice(1, prefixTokens, prefixTokens + contextTokens));
  }

  private Tensor copy(Tensor view) {
    return backend.tensorOps(scope).concat(List.of(view), 0);
  }

  @Override
  public Tensor unrotatedKeys() {
    requireDeclared(Evidence.UNROTATED_KEYS);
    Tensor context = contextOf(attended.sequence().layer().keys());
    // Rotated in place, which must not reach the cache.
    Tensor keys = attended.sequence().layer().keys().dtype() == DType.F32 ? copy(context) : context;
    long rows = (long) kvHeads() * contextTokens;
    backend
        .decoder()
        .rope(
            keys.reshape(Shape.of(rows, 1, headDim())),
            contextPositions().reshape(Shape.of(rows)),
            decoder.inverseRope());
    return keys;
  }

  @Override
  public Tensor contextQueries() {
    requireDeclared(Evidence.CONTEXT_QUERIES);
    return backend.tensorOps(scope).transpose(contextRows(), 0, 1);
  }

  @Override
  public Tensor unrotatedContextQueries() {
    requireDeclared(Evidence.UNROTATED_QUERIES);
    Tensor queries = copy(contextRows());
    // A token's queries were rotated at the position of its keys.
    Tensor positions = contextPositions().slice(0, 0, 1).reshape(Shape.of(contextTokens));
    backend.decoder().rope(queries, positions, decoder.inverseRope());
    return backend.tensorOps(scope).transpose(queries, 0, 1);
  }

  /** The queries of the context's tokens, {@code [contextTokens, queryHeads, headDim]}. */
  private Tensor contextRows() {
    int end = attended.sequence().firstRow() + attended.sequence().rows() - queryTokens;
    return attended.queries().slice(0, end - contextTokens, end);
  }

  @Override
  public Tensor meanRotation(int positions) {
    requireDeclared(Evidence.MEAN_ROTATION);
    float[] mean =
        RopeTable.meanRotation(
            decoder.config().rope(), headDim(), positionBehind, Math.max(1, positions));
    return backend.tensorOps(scope).constant(Shape.of(headDim(), headDim()), mean);
  }

  @Override
  public Tensor outputProjection() {
    requireDeclared(Evidence.OUTPUT_PROJECTION);
    return decoder.outputProjection(layer).slice(0, firstQueryHead, firstQueryHead + queryHeads());
  }

  @Override
  public Tensor windowQueries(int window) {
    requireDeclared(Evidence.WINDOW_QUERIES);
    int end = attended.sequence().firstRow() + attended.sequence().rows();
    Tensor rows = attended.queries().slice(0, end - checkedWindow(window), end);
    return backend.tensorOps(scope).transpose(rows, 0, 1);
  }

  @Override
  public Tensor attentionMass(int window, HeadReduction reduction) {
    requireDeclared(Evidence.ATTENTION_MASS);
    int heads = reduction == HeadReduction.NONE ? queryHeads() : kvHeads();
    Tensor mass = scope.allocate(DType.F32, Shape.of(heads, contextTokens));
    backend
        .attention()
        .attentionMass(
            mass,
            attended.queries(),
            attended.logSumExp(),
            attended.scale(),
            attended.sequence(),
            checkedWindow(window),
            prefixTokens,
            prefixTokens + contextTokens,
            reduction);
    return mass;
  }

  private int checkedWindow(int window) {
    int rows = attended.sequence().rows();
    int wanted = window == 0 ? queryTokens : window == WHOLE_PASS ? rows : window;
    if (wanted < 1 || wanted > rows) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "A window of " + wanted + " tokens was asked for, but the pass has " + rows + ".");
    }
    return wanted;
  }

  private void requireDeclared(Evidence evidence) {
    if (!declared.contains(evidence)) {
      throw new InferenceException(
          ErrorCode.INTERNAL, "A policy asked for " + evidence + " without declaring it.");
    }
  }
}
