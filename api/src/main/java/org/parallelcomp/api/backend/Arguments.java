package org.parallelcomp.api.backend;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.evidence.HeadReduction;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/**
 * Refuses, with INTERNAL, arguments of an operation that do not fit one another: one method for
 * each operation that has something to refuse. A backend calls it first and may then trust its
 * arguments. What is in a tensor is not looked at. {@link KvLayer} has the same for appending,
 * joining and selecting.
 */
public final class Arguments {
  private Arguments() {}

  // ---- decoder ----

  /** Refuses arguments of {@link DecoderOps#embed}. */
  public static void requireEmbed(Tensor out, Tensor table, Tensor tokenIds) {
    require(
        table.shape().rank() == 2
            && tokenIds.dtype() == DType.I32
            && out.shape().equals(Shape.of(tokenIds.shape().elements(), table.shape().dim(1))),
        "embed",
        out,
        table,
        tokenIds);
  }

  /** Refuses arguments of {@link DecoderOps#linear}. */
  public static void requireLinear(Tensor out, Tensor weight, @Nullable Tensor bias, Tensor in) {
    require(
        weight.shape().rank() == 2
            && in.shape().dim(-1) == weight.shape().dim(1)
            && out.shape().equals(in.shape().with(-1, weight.shape().dim(0)))
            && (bias == null || bias.shape().equals(Shape.of(weight.shape().dim(0)))),
        "linear",
        out,
        weight,
        bias,
        in);
  }

  /** Refuses arguments of {@link DecoderOps#rmsNorm}. */
  public static void requireRmsNorm(Tensor out, Tensor in, Tensor weight) {
    require(
        out.shape().equals(in.shape()) && weight.shape().equals(Shape.of(in.shape().dim(-1))),
        "rmsNorm",
        out,
        in,
        weight);
  }

  /** Refuses arguments of {@link DecoderOps#rope}. */
  public static void requireRope(Tensor inOut, Tensor positions, Rope rope) {
    require(
        inOut.shape().rank() == 3
            && positions.dtype() == DType.I32
            && positions.shape().elements() == inOut.shape().dim(0)
            && rope.rotaryDims() <= inOut.shape().dim(2)
            && rope.sines().shape().equals(rope.cosines().shape()),
        "rope",
        inOut,
        positions,
        rope.cosines(),
        rope.sines());
  }

  /** Refuses arguments of {@link DecoderOps#swiGlu}. */
  public static void requireSwiGlu(Tensor out, Tensor gate, Tensor up) {
    require(
        out.shape().equals(gate.shape()) && up.shape().equals(gate.shape()),
        "swiGlu",
        out,
        gate,
        up);
  }

  /** Refuses arguments of {@link DecoderOps#add}. */
  public static void requireAdd(Tensor inOut, Tensor term) {
    require(inOut.shape().equals(term.shape()), "add", inOut, term);
  }

  /** Refuses arguments of {@link DecoderOps#tokenLogLikelihood}. */
  public static void requireTokenLogLikelihood(Tensor out, Tensor logits, Tensor targets) {
    require(
        logits.shape().rank() == 2
            && targets.dtype() == DType.I32
            && out.shape().elements() == logits.shape().dim(0)
            && targets.shape().elements() == logits.shape().dim(0),
        "tokenLogLikelihood",
        out,
        logits,
        targets);
  }

  // ---- attention ----

  /** Refuses arguments of {@link AttentionOps#attend}. */
  public static void requireAttend(
      Tensor out, @Nullable Tensor logSumExp, Tensor queries, List<AttendSequence> sequences) {
    require(
        queries.shape().rank() == 3
            && out.shape().equals(queries.shape())
            && (logSumExp == null || logSumExp.shape().equals(perHead(queries))),
        "attend",
        out,
        logSumExp,
        queries);
    sequences.forEach(sequence -> requireSequence(queries, sequence));
  }

  /** Refuses arguments of {@link AttentionOps#mergePartial}. */
  public static void requireMergePartial(
      Tensor out,
      @Nullable Tensor logSumExp,
      List<Tensor> partialOuts,
      List<Tensor> partialLogSumExps) {
    require(
        !partialOuts.isEmpty() && partialOuts.size() == partialLogSumExps.size(),
        partialOuts.size()
            + " partial outputs and "
            + partialLogSumExps.size()
            + " log-sum-exps cannot be merged.");
    require(
        out.shape().rank() == 3 && (logSumExp == null || logSumExp.shape().equals(perHead(out))),
        "mergePartial",
        out,
        logSumExp);
    for (int part = 0; part < partialOuts.size(); part++) {
      require(
          partialOuts.get(part).shape().equals(out.shape())
              && partialLogSumExps.get(part).shape().equals(perHead(out)),
          "mergePartial",
          out,
          partialOuts.get(part),
          partialLogSumExps.get(part));
    }
  }

  /** Refuses arguments of {@link AttentionOps#attentionMass}. */
  public static void requireAttentionMass(
      Tensor mass,
      Tensor queries,
      Tensor logSumExp,
      AttendSequence sequence,
      int windowQueries,
      int fromToken,
      int toToken,
      HeadReduction reduction) {
    require(queries.shape().rank() == 3, "attentionMass", mass, queries, logSumExp);
    requireSequence(queries, sequence);
    long heads =
        reduction == HeadReduction.NONE ? queries.shape().dim(1) : sequence.layer().kvHeads();
    require(
        mass.shape().equals(Shape.of(heads, toToken - fromToken))
            && logSumExp.shape().equals(perHead(queries)),
        "attentionMass",
        mass,
        queries,
        logSumExp);
    require(
        1 <= windowQueries && windowQueries <= sequence.rows(),
        "There is no window of " + windowQueries + " of " + sequence.rows() + " queries.");
  }

  private static void requireSequence(Tensor queries, AttendSequence sequence) {
    KvLayer layer = sequence.layer();
    require(
        queries.shape().dim(1) % layer.kvHeads() == 0
            && queries.shape().dim(2) == layer.headDim()
            && sequence.firstRow() >= 0
            && sequence.firstRow() + sequence.rows() <= queries.shape().dim(0),
        "attention over " + layer.kvHeads() + " kv heads",
        queries,
        layer.keys());
  }

  /** {@code [tokens, queryHeads, headDim]} to {@code [queryHeads, tokens]}. */
  private static Shape perHead(Tensor queries) {
    return Shape.of(queries.shape().dim(1), queries.shape().dim(0));
  }

  // ---- cache ----

  /** Refuses arguments of {@link CacheOps#rerotate}. */
  public static void requireRerotate(KvLayer layer, int firstPosition, Rope rope) {
    require(
        rope.rotaryDims() <= layer.headDim()
            && firstPosition >= 0
            && firstPosition <= rope.positions() - layer.maxTokens(),
        layer.maxTokens()
            + " keys cannot move to position "
            + firstPosition
            + " and behind by a table of "
            + rope.positions()
            + ".");
  }

  // ---- tensor operations ----

  /** Returns the shape to which two shapes broadcast, or refuses them. */
  public static Shape requireBroadcast(Shape a, Shape b) {
    long[] dims = new long[Math.max(a.rank(), b.rank())];
    for (int axis = 1; axis <= dims.length; axis++) {
      long ofA = axis <= a.rank() ? a.dim(-axis) : 1;
      long ofB = axis <= b.rank() ? b.dim(-axis) : 1;
      require(ofA == ofB || ofA == 1 || ofB == 1, a + " and " + b + " do not broadcast.");
      dims[dims.length - axis] = ofA == 1 ? ofB : ofA;
    }
    return Shape.of(dims);
  }

  /** Returns an axis counted from the outermost, or refuses one that the tensor does not have. */
  public static int requireAxis(Tensor a, int axis) {
    int rank = a.shape().rank();
    require(-rank <= axis && axis < rank, a.shape() + " has no axis " + axis + ".");
    return axis < 0 ? axis + rank : axis;
  }

  /** Refuses arguments of {@link TensorOps#matmul}, but for leading axes that do not broadcast. */
  public static void requireMatmul(Tensor a, Tensor b) {
    require(
        a.shape().rank() >= 2 && b.shape().rank() >= 2 && a.shape().dim(-1) == b.shape().dim(-2),
        "matmul",
        a,
        b);
  }

  /** Refuses arguments of {@link TensorOps#choleskySolve}, as {@link #requireMatmul}. */
  public static void requireCholeskySolve(Tensor a, Tensor b) {
    requireMatmul(a, b);
    require(a.shape().dim(-1) == a.shape().dim(-2), "choleskySolve", a, b);
  }

  /** Refuses the kernel of a pool that is even or not above 0. */
  public static void requireKernel(int kernel) {
    require(kernel >= 1 && kernel % 2 == 1, "A pool's kernel must be odd, not " + kernel + ".");
  }

  /** Refuses arguments of {@link TensorOps#floats}. */
  public static void requireFloats(Tensor a) {
    require(a.dtype() != DType.I32 && !a.dtype().isBlock(), "floats", a);
  }

  /** Refuses arguments of {@link TensorOps#constant}. */
  public static void requireConstant(Shape shape, float[] numbers) {
    require(
        shape.elements() == numbers.length, numbers.length + " numbers do not fill " + shape + ".");
  }

  /** Refuses arguments of {@link TensorOps#topK}. */
  public static void requireTopK(Tensor a, int count) {
    require(
        a.shape().rank() >= 1 && 0 <= count && count <= a.shape().dim(-1),
        "The best " + count + " of " + a.shape() + " cannot be taken.");
  }

  /** Refuses arguments of {@link TensorOps#gather}. */
  public static void requireGather(Tensor a, Tensor indices) {
    require(
        indices.dtype() == DType.I32
            && a.shape().rank() >= 1
            && a.shape().with(-1, 0).equals(indices.shape().with(-1, 0)),
        "gather",
        a,
        indices);
  }

  /** Refuses arguments of {@link TensorOps#concat}. */
  public static void requireConcat(List<Tensor> parts, int axis) {
    require(!parts.isEmpty(), "There is nothing to concatenate.");
    Tensor first = parts.getFirst();
    int at = requireAxis(first, axis);
    for (Tensor part : parts) {
      require(
          part.dtype() == first.dtype()
              && part.shape().rank() == first.shape().rank()
              && part.shape().with(at, 0).equals(first.shape().with(at, 0)),
          "concat",
          first,
          part);
    }
  }

  private static void require(boolean fit, String operation, @Nullable Tensor... tensors) {
    if (!fit) {
      String shown =
          Arrays.stream(tensors)
              .map(tensor -> tensor == null ? "nothing" : tensor.dtype() + " " + tensor.shape())
              .collect(Collectors.joining(", "));
      throw new InferenceException(
          ErrorCode.INTERNAL, "The tensors do not fit for " + operation + ": " + shown + ".");
    }
  }

  private static void require(boolean holds, String sentence) {
    if (!holds) {
      throw new InferenceException(ErrorCode.INTERNAL, sentence);
    }
  }
}
