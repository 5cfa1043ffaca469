package org.parallelcomp.backend.cpu.vector;

import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.Arguments;
import org.parallelcomp.api.backend.AttentionBlock;
import org.parallelcomp.api.backend.DecoderOps;
import org.parallelcomp.api.backend.FeedForwardBlock;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.backend.Scratch;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.backend.cpu.vector.simd.Dequantize;
import org.parallelcomp.backend.cpu.vector.simd.Elementwise;
import org.parallelcomp.backend.cpu.vector.simd.PanelMatmul;
import org.parallelcomp.backend.cpu.vector.simd.PanelMatmul.Mode;
import org.parallelcomp.backend.cpu.vector.simd.VectorMatmul;
import org.parallelcomp.backend.cpu.vector.simd.WeightMatrix;
import org.parallelcomp.backend.host.HostMemory;
import org.parallelcomp.backend.host.Rows;

/** The operations of a decoder layer. */
final class CpuDecoderOps implements DecoderOps {
  /** Numbers of a row that element-wise operations take at a time: 8 KiB, for the first cache. */
  private static final int PIECE = 2048;

  private final CpuKernels kernels;
  private final HostMemory memory;
  private final CpuFusedBlocks fused;

  CpuDecoderOps(CpuKernels kernels) {
    this.kernels = kernels;
    this.memory = kernels.memory;
    this.fused = new CpuFusedBlocks(kernels);
  }

  @Override
  public void embed(Tensor out, Tensor table, Tensor tokenIds) {
    Arguments.requireEmbed(out, table, tokenIds);
    WeightMatrix matrix = kernels.matrix(table);
    Rows to = memory.floats(out);
    int[] ids = memory.ints(tokenIds).toInts();
    for (int id : ids) {
      requireToken(id, matrix.rows());
    }
    kernels.alone(
        () ->
            kernels.forRows(
                ids.length,
                (from, end, worker) -> {
                  float[] row = kernels.scratch(worker, 0, matrix.columns());
                  for (int i = (int) from; i < end; i++) {
                    Dequantize.row(matrix, ids[i], row, 0);
                    to.write(i, row, 0);
                  }
                }));
  }

  @Override
  public void linear(Tensor out, Tensor weight, @Nullable Tensor bias, Tensor in) {
    kernels.alone(() -> linear(out, weight, bias, in, Mode.OVERWRITE));
  }

  private void linear(Tensor out, Tensor weight, @Nullable Tensor bias, Tensor in, Mode mode) {
    Arguments.requireLinear(out, weight, bias, in);
    WeightMatrix matrix = kernels.matrix(weight);
    Rows from = memory.floats(in).gapless("the input");
    Rows to = memory.floats(out).gapless("the output");
    int rows = Math.toIntExact(from.count());
    if (rows <= VectorMatmul.MOST_ROWS) {
      VectorMatmul.multiply(
          from.storage(),
          from.byteOf(0),
          rowStride(from),
          rows,
          matrix,
          kernels.vector(bias),
          to.storage(),
          to.byteOf(0),
          rowStride(to),
          mode,
          kernels.workers(),
          kernels.vectorScratch);
    } else {
      PanelMatmul.multiply(
          from.storage(),
          from.byteOf(0),
          rowStride(from),
          rows,
          matrix,
          kernels.vector(bias),
          to.storage(),
          to.byteOf(0),
          rowStride(to),
          mode,
          kernels.workers(),
          kernels.panelScratch);
    }
  }

  @Override
  public void rmsNorm(Tensor out, Tensor in, Tensor weight, float epsilon) {
    Arguments.requireRmsNorm(out, in, weight);
    Rows from = memory.floats(in);
    Rows to = memory.floats(out);
    float[] factors = memory.numbers(weight);
    int dim = from.length();
    kernels.alone(
        () ->
            kernels.forRows(
                from.count(),
                (first, end, worker) -> {
                  float[] row = kernels.scratch(worker, 0, dim);
                  for (long i = first; i < end; i++) {
                    from.read(i, row, 0);
                    Elementwise.rmsNorm(row, 0, row, 0, factors, dim, epsilon);
                    to.write(i, row, 0);
                  }
                }));
  }

  @Override
  public void rope(Tensor inOut, Tensor positions, Rope rope) {
    Arguments.requireRope(inOut, positions, rope);
    Rows rows = memory.floats(inOut);
    int[] ofToken = memory.ints(positions).toInts();
    RopeTable table = RopeTable.of(memory, rope);
    int heads = inOut.shape().intDim(1);
    kernels.alone(
        () ->
            kernels.forRows(
                ofToken.length,
                (first, end, worker) -> {
                  float[] row = kernels.scratch(worker, 0, rows.length());
                  float[] cos = kernels.scratch(worker, 1, table.dims());
                  float[] sin = kernels.scratch(worker, 2, table.dims());
                  for (int token = (int) first; token < end; token++) {
                    table.load(ofToken[token], cos, sin);
                    for (long i = (long) token * heads; i < (token + 1L) * heads; i++) {
                      rows.read(i, row, 0);
                      table.rotate(row, 0, cos, sin);
                      rows.write(i, row, 0);
                    }
                  }
                }));
  }

  /** Changes the first array, a piece of a row, by the second. */
  private interface Combination {
    void apply(float[] inOut, int at, float[] other, int otherAt, int count);
  }

  @Override
  public void swiGlu(Tensor out, Tensor gate, Tensor up) {
    Arguments.requireSwiGlu(out, gate, up);
    combine(out, gate, up, Elementwise::swiGlu);
  }

  @Override
  public void add(Tensor inOut, Tensor term) {
    Arguments.requireAdd(inOut, term);
    combine(inOut, inOut, term, Elementwise::add);
  }

  private void combine(Tensor out, Tensor a, Tensor b, Combination combination) {
    Rows to = memory.floats(out);
    Rows rowsA = memory.floats(a);
    Rows rowsB = memory.floats(b);
    kernels.alone(
        () ->
            kernels.forRows(
                to.count(),
                (first, end, worker) -> {
                  float[] pieceA = kernels.scratch(worker, 0, PIECE);
                  float[] pieceB = kernels.scratch(worker, 1, PIECE);
                  for (long row = first; row < end; row++) {
                    for (int at = 0; at < to.length(); at += PIECE) {
                      int count = Math.min(PIECE, to.length() - at);
                      rowsA.readPart(row, at, count, pieceA, 0);
                      rowsB.readPart(row, at, count, pieceB, 0);
                      combination.apply(pieceA, 0, pieceB, 0, count);
                      to.writePart(row, at, count, pieceA, 0);
                    }
                  }
                }));
  }

  @Override
  public void tokenLogLikelihood(Tensor out, Tensor logits, Tensor targets) {
    Arguments.requireTokenLogLikelihood(out, logits, targets);
    Rows in = memory.floats(logits);
    Rows to = memory.floats(out);
    int[] ids = memory.ints(targets).toInts();
    for (int id : ids) {
      requireToken(id, in.length());
    }
    float[] results = new float[ids.length];
    kernels.alone(
        () -> {
          kernels
              .workers()
              .run(
                  ids.length,
                  (i, worker) -> {
                    float[] row = kernels.scratch(worker, 0, in.length());
                    in.read(i, row, 0);
                    float max = Elementwise.max(row, 0, in.length());
                    double sum = Elementwise.sumOfExponentials(row, 0, in.length(), max);
                    results[i] = (float) ((double) row[ids[i]] - max - Math.log(sum));
                  });
          to.write(0, results, 0);
        });
  }

  @Override
  public void attentionInput(
      Tensor queries,
      Tensor keys,
      Tensor values,
      AttentionBlock block,
      Tensor hidden,
      Tensor positions,
      Rope rope,
      Scratch scratch) {
    if (fused.fits(hidden.shape().dim(0), block.query(), block.key(), block.value())) {
      kernels.alone(
          () -> fused.attentionInput(queries, keys, values, block, hidden, positions, rope));
      return;
    }
    if (hidden.shape().dim(0) > VectorMatmul.MOST_ROWS) {
      DecoderOps.super.attentionInput(
          queries, keys, values, block, hidden, positions, rope, scratch);
      return;
    }
    kernels.alone(
        () -> {
          Tensor normed = scratch.take("normed", hidden.shape().toArray());
          rmsNorm(normed, hidden, block.norm(), block.epsilon());
          Rows in = memory.floats(normed);
          VectorMatmul.multiplyAll(
              in.storage(),
              in.byteOf(0),
              rowStride(in),
              Math.toIntExact(in.count()),
              kernels.workers(),
              kernels.vectorScratch,
              product(flat(queries), block.query(), block.queryBias(), normed),
              product(flat(keys), block.key(), block.keyBias(), normed),
              product(flat(values), block.value(), block.valueBias(), normed));
          if (block.queryNorm() != null) {
            rmsNorm(queries, queries, block.queryNorm(), block.epsilon());
          }
          if (block.keyNorm() != null) {
            rmsNorm(keys, keys, block.keyNorm(), block.epsilon());
          }
          rope(queries, positions, rope);
          rope(keys, positions, rope);
        });
  }

  private VectorMatmul.Product product(
      Tensor out, Tensor weight, @Nullable Tensor bias, Tensor in) {
    Arguments.requireLinear(out, weight, bias, in);
    Rows to = memory.floats(out).gapless("the output");
    WeightMatrix matrix = kernels.matrix(weight);
    return new VectorMatmul.Product(
        matrix, kernels.vector(bias), to.storage(), to.byteOf(0), rowStride(to), Mode.OVERWRITE);
  }

  @Override
  public void attentionOutputAndFeedForward(
      Tensor hidden,
      Tensor attended,
      AttentionBlock attention,
      FeedForwardBlock feedForward,
      Scratch scratch) {
    kernels.alone(
        () -> {
          if (fused.fits(
              hidden.shape().dim(0),
              attention.output(),
              feedForward.gate(),
              feedForward.up(),
              feedForward.down())) {
            fused.attentionOutputAndFeedForward(hidden, attended, attention, feedForward);
            return;
          }
          long tokens = hidden.shape().dim(0);
          long feedForwardDim = feedForward.gate().shape().dim(0);
          linear(
              hidden, attention.output(), attention.outputBias(), flat(attended), Mode.ACCUMULATE);
          Tensor normed = scratch.take("normed", hidden.shape().toArray());
          rmsNorm(normed, hidden, feedForward.norm(), feedForward.epsilon());
          Tensor gate = scratch.take("gate", tokens, feedForwardDim);
          if (tokens <= VectorMatmul.MOST_ROWS) {
            Rows in = memory.floats(normed);
            Rows to = memory.floats(gate);
            VectorMatmul.multiplyGated(
                in.storage(),
                in.byteOf(0),
                rowStride(in),
                Math.toIntExact(tokens),
                kernels.matrix(feedForward.gate()),
                kernels.matrix(feedForward.up()),
                to.storage(),
                to.byteOf(0),
                rowStride(to),
                kernels.workers(),
                kernels.vectorScratch);
          } else {
            Tensor up = scratch.take("up", tokens, feedForwardDim);
            linear(gate, feedForward.gate(), null, normed, Mode.OVERWRITE);
            linear(up, feedForward.up(), null, normed, Mode.OVERWRITE);
            swiGlu(gate, gate, up);
          }
          linear(hidden, feedForward.down(), null, gate, Mode.ACCUMULATE);
        });
  }

  private static Tensor flat(Tensor heads) {
    Shape shape = heads.shape();
    return heads.reshape(Shape.of(shape.dim(0), shape.dim(1) * shape.dim(2)));
  }

  private static long rowStride(Rows rows) {
    return rows.count() < 2 ? 0 : rows.byteOf(1) - rows.byteOf(0);
  }

  private static void requireToken(int id, int vocab) {
    if (id < 0 || id >= vocab) {
      throw new InferenceException(
          ErrorCode.INTERNAL,
          "The token id " + id + " is outside of the vocabulary of " + vocab + ".");
    }
  }
}
