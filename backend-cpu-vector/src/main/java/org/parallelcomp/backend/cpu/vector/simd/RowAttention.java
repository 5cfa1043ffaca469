package org.parallelcomp.backend.cpu.vector.simd;

import static org.parallelcomp.backend.cpu.vector.simd.Species.FLOAT;
import static org.parallelcomp.backend.cpu.vector.simd.Species.LANES;

import java.util.Arrays;
import java.util.List;
import jdk.incubator.vector.FloatVector;

/**
 * Attention of few rows (decode): the lanes lie along a key, and keys and values are read once,
 * from front to back. A task is a range of keys of one kv head, so that few heads still occupy all
 * workers; the ranges do not depend on the number of workers, and neither does the result.
 */
public final class RowAttention {
  /** Keys of a task: about 10 microseconds of work, against 1 to hand it over. */
  private static final int RANGE = 512;

  /** Keys copied at once: 16 KiB at 32 dimensions, so they are still in the first-level cache. */
  private static final int BLOCK = 128;

  /** Products below which the caller does all the work: a hand-over would cost more. */
  private static final long SMALL = 32_768;

  private final Workers workers;
  private final Local[] locals;

  /** Of each task: out [queries][headDim], then max [queries] and sum [queries]. */
  private float[] partials = new float[0];

  private Task[] tasks = new Task[0];

  /** Creates the kernel with a scratch for each worker. Not for two calls at a time. */
  public RowAttention(Workers workers) {
    this.workers = workers;
    this.locals = new Local[workers.count()];
    for (int i = 0; i < locals.length; i++) {
      locals[i] = new Local();
    }
  }

  private static final class Local {
    private float[] rows = new float[0];
    private float[] queries = new float[0];
    private float[] weights = new float[0];

    private void reserve(int queryCount, int headDim) {
      if (rows.length < BLOCK * headDim) {
        rows = new float[BLOCK * headDim];
      }
      if (queries.length < queryCount * headDim) {
        queries = new float[queryCount * headDim];
      }
      if (weights.length < queryCount * RANGE) {
        weights = new float[queryCount * RANGE];
      }
    }
  }

  private record Task(AttentionGroup group, int from, int to, int partial) {}

  /** Computes the attention of all groups. */
  public void attend(List<AttentionGroup> groups) {
    // pass 1: cut the keys into ranges
    int count = 0;
    int floats = 0;
    long products = 0;
    for (AttentionGroup group : groups) {
      int perTask = group.queryCount() * (group.keyValues().headDim() + 2);
      int from = group.from();
      do {
        int to = Math.min(from + RANGE, group.to());
        if (count == tasks.length) {
          tasks = Arrays.copyOf(tasks, Math.max(16, 2 * count));
        }
        tasks[count++] = new Task(group, from, to, floats);
        floats += perTask;
        products += (long) perTask * (to - from);
        from = to;
      } while (from < group.to());
    }
    if (partials.length < floats) {
      partials = new float[floats];
    }

    // pass 2: attention over each range
    if (products < SMALL) {
      for (int i = 0; i < count; i++) {
        run(tasks[i], locals[0], partials);
      }
    } else {
      workers.run(count, (task, worker) -> run(tasks[task], locals[worker], partials));
    }

    // pass 3: merge the ranges of each group
    for (int first = 0; first < count; ) {
      int end = first + 1;
      while (end < count && tasks[end].group == tasks[first].group) {
        end++;
      }
      merge(first, end);
      first = end;
    }
    Arrays.fill(tasks, 0, count, null);
  }

  private static void run(Task task, Local local, float[] partials) {
    AttentionGroup group = task.group;
    KeyValues keyValues = group.keyValues();
    int headDim = keyValues.headDim();
    int queryCount = group.queryCount();
    local.reserve(queryCount, headDim);
    float[] rows = local.rows;
    float[] queries = local.queries;
    float[] weights = local.weights;

    // pass 1: scores of all keys of the range, to the base 2
    float scale = group.scale() * Exponential.LOG2_E;
    for (int query = 0; query < queryCount; query++) {
      group.readQueries(query, 1, queries, query * headDim);
    }
    for (int i = 0; i < queryCount * headDim; i++) {
      queries[i] *= scale;
    }
    for (int key = task.from; key < task.to; key += BLOCK) {
      int keys = Math.min(BLOCK, task.to - key);
      keyValues.readKeys(key, keys, rows);
      for (int query = 0; query < queryCount; query++) {
        int to = query * RANGE + key - task.from;
        scores(weights, to, queries, query * headDim, rows, keys, headDim);
      }
    }

    // pass 2: weights of the keys that each query sees, zero for the others
    int maxAt = task.partial + queryCount * headDim;
    int sumAt = maxAt + queryCount;
    for (int query = 0; query < queryCount; query++) {
      int seen = Math.clamp(group.limit(query) - task.from, 0, task.to - task.from);
      Arrays.fill(weights, query * RANGE + seen, query * RANGE + task.to - task.from, 0);
      float max = Elementwise.max(weights, query * RANGE, seen);
      partials[maxAt + query] = max;
      partials[sumAt + query] = Elementwise.powersOfTwo(weights, query * RANGE, seen, max);
    }

    // pass 3: weighted values
    Arrays.fill(partials, task.partial, maxAt, 0);
    for (int key = task.from; key < task.to; key += BLOCK) {
      int keys = Math.min(BLOCK, task.to - key);
      keyValues.readValues(key, keys, rows);
      for (int query = 0; query < queryCount; query++) {
        int from = query * RANGE + key - task.from;
        addValues(partials, task.partial + query * headDim, weights, from, rows, keys, headDim);
      }
    }
  }

  /** scores[k] = query · keys[k], for keys of [keys][headDim]. */
  private static void scores(
      float[] scores, int scores0, float[] query, int query0, float[] rows, int keys, int headDim) {
    int whole = headDim - headDim % LANES;
    int k = 0;
    for (; k <= keys - 4; k += 4) {
      int row = k * headDim;
      FloatVector sum0 = FloatVector.zero(FLOAT);
      FloatVector sum1 = FloatVector.zero(FLOAT);
      FloatVector sum2 = FloatVector.zero(FLOAT);
      FloatVector sum3 = FloatVector.zero(FLOAT);
      for (int dim = 0; dim < whole; dim += LANES) {
        FloatVector q = FloatVector.fromArray(FLOAT, query, query0 + dim);
        sum0 = FloatVector.fromArray(FLOAT, rows, row + dim).fma(q, sum0);
        sum1 = FloatVector.fromArray(FLOAT, rows, row + headDim + dim).fma(q, sum1);
        sum2 = FloatVector.fromArray(FLOAT, rows, row + 2 * headDim + dim).fma(q, sum2);
        sum3 = FloatVector.fromArray(FLOAT, rows, row + 3 * headDim + dim).fma(q, sum3);
      }
      scores[scores0 + k] = LaneSum.of(sum0);
      scores[scores0 + k + 1] = LaneSum.of(sum1);
      scores[scores0 + k + 2] = LaneSum.of(sum2);
      scores[scores0 + k + 3] = LaneSum.of(sum3);
    }
    for (; k < keys; k++) {
      FloatVector sum = FloatVector.zero(FLOAT);
      for (int dim = 0; dim < whole; dim += LANES) {
        FloatVector q = FloatVector.fromArray(FLOAT, query, query0 + dim);
        sum = FloatVector.fromArray(FLOAT, rows, k * headDim + dim).fma(q, sum);
      }
      scores[scores0 + k] = LaneSum.of(sum);
    }
    if (whole < headDim) {
      for (k = 0; k < keys; k++) {
        for (int dim = whole; dim < headDim; dim++) {
          scores[scores0 + k] += query[query0 + dim] * rows[k * headDim + dim];
        }
      }
    }
  }

  /** out += sum over k of weights[k] values[k], for values of [keys][headDim]. */
  private static void addValues(
      float[] out, int out0, float[] weights, int weights0, float[] rows, int keys, int headDim) {
    int whole = headDim - headDim % LANES;
    for (int dim = 0; dim < whole; dim += LANES) {
      FloatVector sum0 = FloatVector.fromArray(FLOAT, out, out0 + dim);
      FloatVector sum1 = FloatVector.zero(FLOAT);
      FloatVector sum2 = FloatVector.zero(FLOAT);
      FloatVector sum3 = FloatVector.zero(FLOAT);
      int k = 0;
      for (; k <= keys - 4; k += 4) {
        int row = k * headDim + dim;
        int weight = weights0 + k;
        sum0 = FloatVector.fromArray(FLOAT, rows, row).fma(broadcast(weights[weight]), sum0);
        sum1 =
            FloatVector.fromArray(FLOAT, rows, row + headDim)
                .fma(broadcast(weights[weight + 1]), sum1);
        sum2 =
            FloatVector.fromArray(FLOAT, rows, row + 2 * headDim)
                .fma(broadcast(weights[weight + 2]), sum2);
        sum3 =
            FloatVector.fromArray(FLOAT, rows, row + 3 * headDim)
                .fma(broadcast(weights[weight + 3]), sum3);
      }
      for (; k < keys; k++) {
        sum0 =
            FloatVector.fromArray(FLOAT, rows, k * headDim + dim)
                .fma(broadcast(weights[weights0 + k]), sum0);
      }
      sum0.add(sum1).add(sum2.add(sum3)).intoArray(out, out0 + dim);
    }
    for (int dim = whole; dim < headDim; dim++) {
      for (int k = 0; k < keys; k++) {
        out[out0 + dim] += weights[weights0 + k] * rows[k * headDim + dim];
      }
    }
  }

  private static FloatVector broadcast(float value) {
    return FloatVector.broadcast(FLOAT, value);
  }

  /** Merges the partial results {@code [first, end)} of a group and writes them out. */
  private void merge(int first, int end) {
    AttentionGroup group = tasks[first].group;
    int headDim = group.keyValues().headDim();
    int queryCount = group.queryCount();
    for (int query = 0; query < queryCount; query++) {
      float max = Float.NEGATIVE_INFINITY;
      for (int i = first; i < end; i++) {
        max = Math.max(max, partials[tasks[i].partial + queryCount * headDim + query]);
      }
      int out = tasks[first].partial + query * headDim;
      double sum = 0;
      for (int i = first; i < end; i++) {
        int maxAt = tasks[i].partial + queryCount * headDim + query;
        // A range without a visible key has the sum 0; its maximum, -infinity, must not reach the
        // difference.
        float rangeSum = partials[maxAt + queryCount];
        float factor =
            rangeSum == 0 ? 0 : (float) Math.exp((partials[maxAt] - max) * Exponential.LN_2);
        sum += (double) factor * rangeSum;
        int from = tasks[i].partial + query * headDim;
        for (int dim = 0; dim < headDim; dim++) {
          float term = factor * partials[from + dim];
          partials[out + dim] = i == first ? term : partials[out + dim] + term;
        }
      }
      for (int dim = 0; dim < headDim; dim++) {
        partials[out + dim] = sum == 0 ? 0 : (float) (partials[out + dim] / sum);
      }
      double logSum = sum == 0 ? Double.NEGATIVE_INFINITY : max * Exponential.LN_2 + Math.log(sum);
      group.writeOutputs(query, 1, partials, out);
      group.writeLogSumExp(query, logSum);
    }
  }
}
