package org.parallelcomp.core.policies.select;

import java.util.Collections;
import java.util.List;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.evidence.HeadReduction;
import org.parallelcomp.api.evidence.LayerEvidence;
import org.parallelcomp.api.policy.TokenScorer;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/**
 * The evidence of those tokens of a context that are left, as many in each head, as if they were
 * the context.
 *
 * @param whole the evidence of the whole context
 * @param positions where they stand there, ascending, I32 {@code [kvHeads, tokens]}
 * @param ops gathers
 */
record Survivors(LayerEvidence whole, Tensor positions, TensorOps ops) implements LayerEvidence {
  /** Returns the tokens {@code [from, to)} of every head. */
  static Survivors of(LayerEvidence whole, int from, int to, TensorOps ops) {
    return new Survivors(whole, range(whole, from, to, ops), ops);
  }

  private static Tensor range(LayerEvidence whole, int from, int to, TensorOps ops) {
    Tensor position = ops.range(whole.contextTokens());
    Tensor isInside =
        ops.subtract(ops.greaterThan(position, from - 0.5f), ops.greaterThan(position, to - 0.5f));
    Tensor ofHeads = ops.add(isInside, ops.full(Shape.of(whole.kvHeads(), 1), 0));
    return ops.topK(ofHeads, to - from);
  }

  /** Returns these tokens and those of {@code [from, to)}, which stand behind them. */
  Survivors and(int from, int to) {
    Tensor joined = ops.concat(List.of(positions, range(whole, from, to, ops)), 1);
    return new Survivors(whole, joined, ops);
  }

  /** Returns the best of these tokens. */
  Survivors best(TokenScorer scorer, int count) {
    if (count >= contextTokens()) {
      return this;
    }
    Tensor best = ops.topK(scorer.score(this, ops), count);
    return new Survivors(whole, ops.gather(positions, best), ops);
  }

  @Override
  public int contextTokens() {
    return positions.shape().intDim(1);
  }

  /** Gathers {@code [heads, tokens, headDim]}, heads being those of keys or of queries. */
  private Tensor ofTokens(Tensor vectors) {
    int heads = vectors.shape().intDim(0);
    long headDim = vectors.shape().dim(2);
    Tensor ofHeads = ofHeads(heads).reshape(Shape.of(heads, 1, contextTokens()));
    Tensor repeated = ops.concat(Collections.nCopies((int) headDim, ofHeads), 1);
    return ops.transpose(ops.gather(ops.transpose(vectors, 1, 2), repeated), 1, 2);
  }

  /** Returns the positions for kv heads, or for query heads, which take those of their kv head. */
  private Tensor ofHeads(int heads) {
    int group = heads / kvHeads();
    Tensor ofHead = positions.reshape(Shape.of(kvHeads(), 1, contextTokens()));
    return ops.concat(Collections.nCopies(group, ofHead), 1)
        .reshape(Shape.of(heads, contextTokens()));
  }

  @Override
  public Tensor keys() {
    return ofTokens(whole.keys());
  }

  @Override
  public Tensor values() {
    return ofTokens(whole.values());
  }

  @Override
  public Tensor contextQueries() {
    return ofTokens(whole.contextQueries());
  }

  @Override
  public Tensor unrotatedKeys() {
    return ofTokens(whole.unrotatedKeys());
  }

  @Override
  public Tensor unrotatedContextQueries() {
    return ofTokens(whole.unrotatedContextQueries());
  }

  @Override
  public Tensor attentionMass(int window, HeadReduction reduction) {
    Tensor mass = whole.attentionMass(window, reduction);
    return ops.gather(mass, ofHeads(mass.shape().intDim(0)));
  }

  @Override
  public Tensor windowQueries(int window) {
    return whole.windowQueries(window);
  }

  @Override
  public Tensor meanRotation(int count) {
    return whole.meanRotation(count);
  }

  @Override
  public Tensor outputProjection() {
    return whole.outputProjection();
  }

  @Override
  public int layer() {
    return whole.layer();
  }

  @Override
  public int layers() {
    return whole.layers();
  }

  @Override
  public int queryHeads() {
    return whole.queryHeads();
  }

  @Override
  public int kvHeads() {
    return whole.kvHeads();
  }

  @Override
  public int headDim() {
    return whole.headDim();
  }

  @Override
  public int prefixTokens() {
    return whole.prefixTokens();
  }

  @Override
  public int queryTokens() {
    return whole.queryTokens();
  }

  @Override
  public int keptTokens() {
    return whole.keptTokens();
  }
}
