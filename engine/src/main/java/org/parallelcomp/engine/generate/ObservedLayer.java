package org.parallelcomp.engine.generate;

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
import org.parallelcomp.engine.load.ModelConfig;
import org.parallelcomp.engine.model.LayerCaches.Attended;

/**
 * The evidence of one layer, computed when it is asked for.
 *
 * @param backend computes it
 * @param scope owns what is computed
 * @param config sizes of the model
 * @param layer the layer, from 0
 * @param attended what the attention saw
 * @param prefixTokens tokens before the context
 * @param contextTokens tokens to choose from
 * @param queryTokens tokens behind the context
 * @param declared the evidence that the policies declared
 */
record ObservedLayer(
    Backend backend,
    MemoryScope scope,
    ModelConfig config,
    int layer,
    Attended attended,
    int prefixTokens,
    int contextTokens,
    int queryTokens,
    Set<Evidence> declared)
    implements LayerEvidence {

  @Override
  public int layers() {
    return config.layers();
  }

  @Override
  public int queryHeads() {
    return config.queryHeads();
  }

  @Override
  public int kvHeads() {
    return config.kvHeads();
  }

  @Override
  public int headDim() {
    return config.headDim();
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
   * {@code [slots, headDim]} to {@code [kvHeads, contextTokens, headDim]}: every head has as many
   * slots.
   */
  private Tensor contextOf(Tensor slots) {
    KvLayer kvLayer = attended.sequence().layer();
    return slots
        .reshape(Shape.of(kvHeads(), kvLayer.capacity(0), headDim()))
        .slice(1, prefixTokens, prefixTokens + contextTokens);
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
    int wanted = window == 0 ? queryTokens : window;
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
