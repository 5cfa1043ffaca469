package org.parallelcomp.engine.model;

import java.util.ArrayList;
import java.util.List;
import org.parallelcomp.api.backend.AttendSequence;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.engine.model.ContextWeighting.LighterSinks;
import org.parallelcomp.engine.model.ContextWeighting.Range;
import org.parallelcomp.engine.model.ContextWeighting.Tempered;

/**
 * Attention by parts: each part of the keys on its own, log-sum-exps changed, then merged. Needs no
 * kernel beyond those of plain attention.
 */
final class WeightedAttention {
  private final Backend backend;
  private final MemoryScope scope;
  private final Tensor queries;
  private final float scale;
  private final AttendSequence sequence;

  /**
   * Attention over some of the keys: {@code [tokens, queryHeads, headDim]}, {@code [queryHeads,
   * tokens]}.
   */
  private record Partial(Tensor out, Tensor logSumExp) {}

  private WeightedAttention(
      Backend backend, MemoryScope scope, Tensor queries, float scale, AttendSequence sequence) {
    this.backend = backend;
    this.scope = scope;
    this.queries = queries;
    this.scale = scale;
    this.sequence = sequence;
  }

  /**
   * Attends with weights.
   *
   * @param out {@code [tokens, queryHeads, headDim]}
   * @param queries as out
   * @param sequence a causal one that begins at row 0
   */
  static void attend(
      Backend backend,
      MemoryScope parent,
      Tensor out,
      Tensor queries,
      float scale,
      AttendSequence sequence,
      ContextWeighting weighting) {
    try (MemoryScope scope = parent.child("weighted")) {
      var attention = new WeightedAttention(backend, scope, queries, scale, sequence);
      List<Partial> parts =
          switch (weighting) {
            case Tempered tempered -> attention.tempered(tempered);
            case LighterSinks sinks -> attention.lighterSinks(sinks);
          };
      backend
          .attention()
          .mergePartial(
              out,
              null,
              parts.stream().map(Partial::out).toList(),
              parts.stream().map(Partial::logSumExp).toList());
    }
  }

  private List<Partial> tempered(Tempered weighting) {
    float temperature = (float) weighting.temperature();
    Partial context = over(weighting.context(), scale / temperature);
    Tensor weighed = ops().affine(context.logSumExp, (float) (weighting.scale() * temperature), 0);
    var parts = new ArrayList<>(outside(List.of(weighting.context())));
    parts.add(new Partial(context.out, weighed));
    return parts;
  }

  private List<Partial> lighterSinks(LighterSinks weighting) {
    Partial sinks = merged(weighting.sinks().stream().map(range -> over(range, scale)).toList());
    Partial others = merged(outside(weighting.sinks()));
    // s = exp(LSE_s) / (exp(LSE_s) + exp(LSE_o)) = 1 / (1 + exp(LSE_o - LSE_s))
    Tensor odds = ops().exp(ops().subtract(others.logSumExp, sinks.logSumExp));
    Tensor share = ops().divide(ops().full(Shape.of(1), 1), ops().affine(odds, 1, 1));
    Tensor lighter = ops().affine(share, (float) weighting.beta(), 0);
    return List.of(
        new Partial(sinks.out, ops().log(lighter)),
        new Partial(others.out, ops().log(ops().affine(lighter, -1, 1))));
  }

  private TensorOps ops() {
    return backend.tensorOps(scope);
  }

  private Partial over(Range range, float partScale) {
    return attend(
        new AttendSequence(
            0, sequence.rows(), sequence.layer(), range.fromToken(), range.toToken(), false),
        partScale);
  }

  /** What lies before, between and behind some ranges; the last part holds the rows' own tokens. */
  private List<Partial> outside(List<Range> ranges) {
    var parts = new ArrayList<Partial>();
    int[] from = sequence.fromToken();
    for (Range range : ranges) {
      parts.add(over(new Range(from, range.fromToken()), scale));
      from = range.toToken();
    }
    parts.add(
        attend(
            new AttendSequence(
                0, sequence.rows(), sequence.layer(), from, sequence.toToken(), true),
            scale));
    return parts;
  }

  private Partial attend(AttendSequence part, float partScale) {
    Partial result = allocate();
    backend.attention().attend(result.out, result.logSumExp, queries, partScale, List.of(part));
    return result;
  }

  private Partial merged(List<Partial> parts) {
    Partial result = allocate();
    backend
        .attention()
        .mergePartial(
            result.out,
            result.logSumExp,
            parts.stream().map(Partial::out).toList(),
            parts.stream().map(Partial::logSumExp).toList());
    return result;
  }

  private Partial allocate() {
    return new Partial(
        scope.allocate(DType.F32, queries.shape()),
        scope.allocate(DType.F32, Shape.of(queries.shape().dim(1), queries.shape().dim(0))));
  }
}
