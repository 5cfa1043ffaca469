package org.parallelcomp.backend.cpu.vector.simd;

import static jdk.incubator.vector.VectorOperators.GE;
import static org.parallelcomp.backend.cpu.vector.simd.AttentionTile.COLUMNS;
import static org.parallelcomp.backend.cpu.vector.simd.AttentionTile.ROWS;
import static org.parallelcomp.backend.cpu.vector.simd.Species.FLOAT;
import static org.parallelcomp.backend.cpu.vector.simd.Species.LANES;

import java.util.Arrays;
import java.util.List;
import jdk.incubator.vector.FloatVector;

/**
 * How much attention each key gets from a window of queries: the scores once more, their
 * exponential relative to the log-sum-exp, summed over the window. Here the keys lie across the
 * lanes, so the sum over the queries runs down the columns; nothing larger than {@link #KEYS} sums
 * per query head is ever held.
 */
public final class MassAttention {
  /** Keys of a task. */
  public static final int KEYS = 6 * COLUMNS;

  private static final FloatVector LANE_NUMBERS = FloatVector.zero(FLOAT).addIndex(1);

  private final Workers workers;
  private final Local[] locals;

  /** Creates the kernel with a scratch for each worker. Not for two calls at a time. */
  public MassAttention(Workers workers) {
    this.workers = workers;
    this.locals = new Local[workers.count()];
    for (int i = 0; i < locals.length; i++) {
      locals[i] = new Local();
    }
  }

  private static final class Local {
    private final float[] scores = new float[ROWS * COLUMNS];
    private final float[] ignored = new float[COLUMNS];
    private final float[] logSums = new float[ROWS];
    private final float[] limits = new float[ROWS];
    private float[] rows = new float[0];
    private float[] keys = new float[0];
    private float[] queries = new float[0];
    private float[] mass = new float[0];

    private void reserve(int headDim, int group) {
      if (keys.length < KEYS * headDim) {
        rows = new float[KEYS * headDim];
        keys = new float[KEYS * headDim];
        queries = new float[ROWS * headDim];
      }
      if (mass.length < group * KEYS) {
        mass = new float[group * KEYS];
      }
    }
  }

  /** Takes the sums of one task. Called by several threads at once, for different keys or heads. */
  @FunctionalInterface
  public interface Sink {
    /**
     * Takes the mass of some keys.
     *
     * @param groupIndex index of the group in the list
     * @param key the first key
     * @param keys how many
     * @param mass [query heads of the group][KEYS], may be changed
     */
    void take(int groupIndex, int key, int keys, float[] mass);
  }

  /**
   * Sums the attention to the keys {@code [from, to)}, which every group's own range includes.
   *
   * @param groups the groups as they were attended, with their log-sum-exp
   * @param windowRows how many of the last rows count
   */
  public void sum(List<AttentionGroup> groups, int windowRows, int from, int to, Sink sink) {
    int perGroup = Math.ceilDiv(to - from, KEYS);
    workers.run(
        perGroup * groups.size(),
        (task, worker) -> {
          int index = task / perGroup;
          int key = from + task % perGroup * KEYS;
          int keys = Math.min(KEYS, to - key);
          Local local = locals[worker];
          sumBlock(groups.get(index), windowRows, key, keys, local);
          sink.take(index, key, keys, local.mass);
        });
  }

  private static void sumBlock(
      AttentionGroup group, int windowRows, int key, int keys, Local local) {
    int headDim = group.keyValues().headDim();
    local.reserve(headDim, group.group());
    Arrays.fill(local.mass, 0, group.group() * KEYS, 0);

    // pass 1: the visible keys as [keys / COLUMNS][headDim][COLUMNS]
    int firstVisible = Math.clamp(group.from() - key, 0, keys);
    int visible = Math.clamp(group.to() - key, 0, keys);
    if (firstVisible >= visible) {
      return;
    }
    Arrays.fill(local.keys, 0, KEYS * headDim, 0);
    group.keyValues().readKeys(key, visible, local.rows);
    for (int k = 0; k < visible; k++) {
      int at = k / COLUMNS * COLUMNS * headDim + k % COLUMNS;
      for (int dim = 0; dim < headDim; dim++) {
        local.keys[at + dim * COLUMNS] = local.rows[k * headDim + dim];
      }
    }

    // pass 2: the window, ROWS queries of one head at a time
    int firstRow = group.rows() - windowRows;
    for (int head = 0; head < group.group(); head++) {
      for (int row = firstRow; row < group.rows(); row += ROWS) {
        packQueries(group, head, row, key, local, headDim);
        for (int column = 0; column < visible; column += COLUMNS) {
          AttentionTile.scores(
              local.scores,
              0,
              local.ignored,
              local.queries,
              0,
              local.keys,
              column * headDim,
              headDim);
          addExponentials(local.mass, head * KEYS + column, local, column);
        }
      }
      Arrays.fill(local.mass, head * KEYS, head * KEYS + firstVisible, 0);
      Arrays.fill(local.mass, head * KEYS + visible, (head + 1) * KEYS, 0);
    }
  }

  /** Packs ROWS queries as [headDim][ROWS]; those past the last row get no attention to give. */
  private static void packQueries(
      AttentionGroup group, int head, int row, int key, Local local, int headDim) {
    float scale = group.scale() * Exponential.LOG2_E;
    for (int r = 0; r < ROWS; r++) {
      if (row + r < group.rows()) {
        int query = (row + r) * group.group() + head;
        group.readQueries(query, 1, local.rows, 0);
        float logSum = group.readLogSumExp(query) * Exponential.LOG2_E;
        // A query that sees no key has -infinity, and gives nothing.
        local.logSums[r] = logSum == Float.NEGATIVE_INFINITY ? Float.POSITIVE_INFINITY : logSum;
        local.limits[r] = group.limit(query) - key;
      } else {
        Arrays.fill(local.rows, 0, headDim, 0);
        local.logSums[r] = Float.POSITIVE_INFINITY;
        local.limits[r] = 0;
      }
      for (int dim = 0; dim < headDim; dim++) {
        local.queries[dim * ROWS + r] = local.rows[dim] * scale;
      }
    }
  }

  private static void addExponentials(float[] mass, int mass0, Local local, int firstKey) {
    for (int column = 0; column < COLUMNS; column += LANES) {
      FloatVector sum = FloatVector.fromArray(FLOAT, mass, mass0 + column);
      FloatVector key = LANE_NUMBERS.add((float) (firstKey + column));
      for (int r = 0; r < ROWS; r++) {
        FloatVector score =
            FloatVector.fromArray(FLOAT, local.scores, r * COLUMNS + column).sub(local.logSums[r]);
        score = score.blend(Float.NEGATIVE_INFINITY, key.compare(GE, local.limits[r]));
        sum = sum.add(Exponential.powerOfTwo(score));
      }
      sum.intoArray(mass, mass0 + column);
    }
  }
}
