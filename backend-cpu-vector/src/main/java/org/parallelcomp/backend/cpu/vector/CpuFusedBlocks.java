package org.parallelcomp.backend.cpu.vector;

import java.util.ArrayList;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.AttentionBlock;
import org.parallelcomp.api.backend.FeedForwardBlock;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.backend.cpu.vector.simd.Elementwise;
import org.parallelcomp.backend.cpu.vector.simd.StripMatmul;
import org.parallelcomp.backend.cpu.vector.simd.StripMatmul.Panels;
import org.parallelcomp.backend.cpu.vector.simd.StripMatmul.Strip;
import org.parallelcomp.backend.cpu.vector.simd.WeightMatrix;
import org.parallelcomp.backend.host.HostMemory;
import org.parallelcomp.backend.host.Rows;

/**
 * The fused blocks for many rows. The weights of a block are unpacked once, in one hand-over to the
 * workers; in a second one each worker takes strips of {@link StripMatmul#ROWS} rows through the
 * whole block, so that no activation between two products leaves its cache.
 */
final class CpuFusedBlocks {
  /** Floats of unpacked weights at once: 16 MiB, which a shared cache still streams. */
  private static final long MOST_FLOATS = 1 << 22;

  /** Bytes of unpacked weights that stay from call to call: twice a model like needle-6m. */
  private static final long KEPT_BYTES = 48L << 20;

  /** Strips per worker below which the workers would end at too different times. */
  private static final int FEWEST_STRIPS = 3;

  private final CpuKernels kernels;
  private final HostMemory memory;
  private final PanelCache cache = new PanelCache(KEPT_BYTES);
  private final Panels[] passing = {new Panels(), new Panels(), new Panels(), new Panels()};
  private final Strip[] strips;

  CpuFusedBlocks(CpuKernels kernels) {
    this.kernels = kernels;
    this.memory = kernels.memory;
    this.strips = new Strip[kernels.workers().count()];
    for (int i = 0; i < strips.length; i++) {
      strips[i] = new Strip();
    }
  }

  /** Returns whether a block of these weights and so many rows is better done here. */
  boolean fits(long rows, Tensor... weights) {
    long floats = 0;
    for (Tensor weight : weights) {
      floats += StripMatmul.floats(kernels.matrix(weight));
    }
    return floats <= MOST_FLOATS
        && rows >= (long) FEWEST_STRIPS * StripMatmul.ROWS * kernels.workers().count();
  }

  /** See {@link org.parallelcomp.api.backend.DecoderOps#attentionInput}. */
  void attentionInput(
      Tensor queries,
      Tensor keys,
      Tensor values,
      AttentionBlock block,
      Tensor hidden,
      Tensor positions,
      Rope rope) {
    Rows in = memory.floats(hidden);
    Panels[] panels = unpack(block.query(), block.key(), block.value());
    Projection[] projections = {
      new Projection(queries, panels[0], block.queryBias(), block.queryNorm(), true),
      new Projection(keys, panels[1], block.keyBias(), block.keyNorm(), true),
      new Projection(values, panels[2], block.valueBias(), null, false)
    };
    float[] norm = memory.numbers(block.norm());
    int[] ofToken = memory.ints(positions).toInts();
    RopeTable table = RopeTable.of(memory, rope);
    int hiddenDim = in.length();
    forStrips(
        in.count(),
        (first, rows, worker) -> {
          Strip strip = strips[worker];
          strip.reserve(hiddenDim, 0);
          float[] row = kernels.scratch(worker, 0, hiddenDim);
          float[] cos = kernels.scratch(worker, 1, table.dims());
          float[] sin = kernels.scratch(worker, 2, table.dims());

          // pass 1: norm
          for (int r = 0; r < rows; r++) {
            in.read(first + r, row, 0);
            Elementwise.rmsNorm(row, 0, row, 0, norm, hiddenDim, block.epsilon());
            strip.setRow(r, row, hiddenDim);
          }

          // pass 2: products, norm of each head, rotation
          for (Projection projection : projections) {
            int width = projection.heads * projection.headDim;
            float[] out = kernels.scratch(worker, 3, StripMatmul.ROWS * width);
            strip.multiply(out, projection.panels, rows);
            for (int r = 0; r < rows; r++) {
              if (projection.rotated) {
                table.load(ofToken[first + r], cos, sin);
              }
              projection.finish(out, r * width, first + r, block.epsilon(), table, cos, sin);
            }
          }
        });
  }

  /** What becomes of one of the three products of the normed rows. */
  private final class Projection {
    private final Rows to;
    private final Panels panels;
    private final float @Nullable [] bias;
    private final float @Nullable [] norm;
    private final boolean rotated;
    private final int heads;
    private final int headDim;

    Projection(
        Tensor to, Panels panels, @Nullable Tensor bias, @Nullable Tensor norm, boolean rotated) {
      this.to = memory.floats(to);
      this.panels = panels;
      this.bias = kernels.vector(bias);
      this.norm = kernels.vector(norm);
      this.rotated = rotated;
      this.heads = to.shape().intDim(1);
      this.headDim = to.shape().intDim(2);
    }

    void finish(
        float[] out, int at, int token, float epsilon, RopeTable table, float[] cos, float[] sin) {
      if (bias != null) {
        Elementwise.add(out, at, bias, 0, heads * headDim);
      }
      for (int head = 0; head < heads; head++) {
        int from = at + head * headDim;
        if (norm != null) {
          Elementwise.rmsNorm(out, from, out, from, norm, headDim, epsilon);
        }
        if (rotated) {
          table.rotate(out, from, cos, sin);
        }
        to.write((long) token * heads + head, out, from);
      }
    }
  }

  /** See {@link org.parallelcomp.api.backend.DecoderOps#attentionOutputAndFeedForward}. */
  void attentionOutputAndFeedForward(
      Tensor hidden, Tensor attended, AttentionBlock attention, FeedForwardBlock feedForward) {
    Rows inOut = memory.floats(hidden);
    Rows heads = memory.floats(attended);
    int hiddenDim = inOut.length();
    int headCount = attended.shape().intDim(1);
    int attendedDim = headCount * heads.length();
    int feedForwardDim = feedForward.gate().shape().intDim(0);
    float @Nullable [] bias = kernels.vector(attention.outputBias());
    float[] norm = memory.numbers(feedForward.norm());
    Panels[] panels =
        unpack(attention.output(), feedForward.gate(), feedForward.up(), feedForward.down());
    forStrips(
        inOut.count(),
        (first, rows, worker) -> {
          Strip strip = strips[worker];
          int widest = Math.max(attendedDim, Math.max(hiddenDim, feedForwardDim));
          strip.reserve(widest, widest);
          float[] row = kernels.scratch(worker, 0, Math.max(attendedDim, hiddenDim));
          float[] out = kernels.scratch(worker, 3, StripMatmul.ROWS * hiddenDim);
          float[] sums = kernels.scratch(worker, 1, StripMatmul.ROWS * hiddenDim);

          // pass 1: output of the attention, added to the hidden rows; norm
          for (int r = 0; r < rows; r++) {
            for (int head = 0; head < headCount; head++) {
              heads.read((first + r) * (long) headCount + head, row, head * heads.length());
            }
            strip.setRow(r, row, attendedDim);
          }
          strip.multiply(sums, panels[0], rows);
          for (int r = 0; r < rows; r++) {
            int at = r * hiddenDim;
            inOut.read(first + r, out, at);
            Elementwise.add(out, at, sums, at, hiddenDim);
            if (bias != null) {
              Elementwise.add(out, at, bias, 0, hiddenDim);
            }
            Elementwise.rmsNorm(row, 0, out, at, norm, hiddenDim, feedForward.epsilon());
            strip.setRow(r, row, hiddenDim);
          }

          // pass 2: the gated product, and its product, added to the hidden rows
          strip.multiplyGated(panels[1], panels[2], rows);
          strip.multiply(sums, panels[3], rows);
          for (int r = 0; r < rows; r++) {
            Elementwise.add(out, r * hiddenDim, sums, r * hiddenDim, hiddenDim);
            inOut.write(first + r, out, r * hiddenDim);
          }
        });
  }

  /** Returns matrices in panels: as they were kept, or unpacked now. */
  private Panels[] unpack(Tensor... weights) {
    Panels[] panels = new Panels[weights.length];
    int[] firstTask = new int[weights.length + 1];
    var toKeep = new ArrayList<Panels>();
    for (int i = 0; i < weights.length; i++) {
      WeightMatrix matrix = kernels.matrix(weights[i]);
      Optional<Panels> kept = cache.find(matrix);
      firstTask[i + 1] = firstTask[i];
      if (kept.isPresent()) {
        panels[i] = kept.get();
        continue;
      }
      panels[i] = passing[i];
      if (cache.hasRoomFor(matrix)) {
        panels[i] = new Panels();
        toKeep.add(panels[i]);
      }
      panels[i].set(matrix);
      firstTask[i + 1] += panels[i].count();
    }
    if (firstTask[weights.length] > 0) {
      kernels
          .workers()
          .run(
              firstTask[weights.length],
              (task, worker) -> {
                int i = 0;
                while (task >= firstTask[i + 1]) {
                  i++;
                }
                panels[i].unpack(task - firstTask[i], kernels.panelScratch, worker);
              });
    }
    for (Panels unpacked : toKeep) {
      // Asked once more: the matrices of one call may not all fit.
      if (cache.hasRoomFor(unpacked.matrix())) {
        cache.keep(unpacked);
      }
    }
    return panels;
  }

  private interface StripBody {
    void run(int firstRow, int rows, int worker);
  }

  private void forStrips(long rows, StripBody body) {
    int count = Math.toIntExact(rows);
    kernels
        .workers()
        .run(
            Math.ceilDiv(count, StripMatmul.ROWS),
            (task, worker) -> {
              int first = task * StripMatmul.ROWS;
              body.run(first, Math.min(StripMatmul.ROWS, count - first), worker);
            });
  }
}
