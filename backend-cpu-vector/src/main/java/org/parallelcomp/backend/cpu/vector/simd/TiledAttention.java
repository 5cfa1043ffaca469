package org.parallelcomp.backend.cpu.vector.simd;

import static org.parallelcomp.backend.cpu.vector.simd.AttentionTile.COLUMNS;
import static org.parallelcomp.backend.cpu.vector.simd.AttentionTile.ROWS;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Attention of many rows (prefill) by tiles with an online softmax (FlashAttention, arXiv
 * 2205.14135 and 2307.08691), transposed so that queries lie across the lanes.
 *
 * <p>A task has up to {@link #MOST_TILES} tiles of queries of one kv head, all query heads of its
 * group among them. It goes through the keys in blocks of {@link #KEYS}; a block is packed once for
 * all its tiles, which is why a task has many. What a tile remembers between blocks (its queries,
 * its output so far, maximum and sum) stays in the second-level cache.
 */
public final class TiledAttention {
  /** From this number of queries of a kv head on it is faster than {@link RowAttention}. */
  public static final int FEWEST_QUERIES = 16;

  /** Keys of a block: their weights, 16 KiB at 16 lanes, fit a third of the first-level cache. */
  static final int KEYS = 128;

  /** Tiles of a task: packing a block then costs a few percent of using it. */
  private static final int MOST_TILES = 24;

  /** Floats of queries and outputs of a task: 512 KiB, half of a second-level cache. */
  private static final int MOST_TILE_FLOATS = 1 << 17;

  /** Tasks per worker to aim at, so that the workers end together. */
  private static final int TASKS_PER_WORKER = 6;

  /**
   * A maximum below every score that is a number; not infinite, so that differences are numbers.
   */
  private static final float NO_SCORE = -1e30f;

  private final Workers workers;
  private final Local[] locals;

  /** Creates the kernel with a scratch for each worker. Not for two calls at a time. */
  public TiledAttention(Workers workers) {
    this.workers = workers;
    this.locals = new Local[workers.count()];
    for (int i = 0; i < locals.length; i++) {
      locals[i] = new Local();
    }
  }

  /** Memory of one worker. */
  private static final class Local {
    private final float[] weights = new float[KEYS * COLUMNS];
    private final float[] newMax = new float[COLUMNS];
    private final float[] ignored = new float[COLUMNS];
    private final float[] factor = new float[COLUMNS];
    private final float[] limit = new float[COLUMNS];
    private final float[] max = new float[MOST_TILES * COLUMNS];
    private final float[] sum = new float[MOST_TILES * COLUMNS];
    private float[] rows = new float[0];
    private float[] keys = new float[0];
    private float[] values = new float[0];
    private float[] queries = new float[0];
    private float[] out = new float[0];

    private void reserve(int headDim, int paddedDim, int tiles) {
      if (values.length < KEYS * paddedDim) {
        // Blocks of keys, or the queries of a row: at most COLUMNS of them.
        rows = new float[KEYS * headDim];
        keys = new float[KEYS * paddedDim];
        values = new float[KEYS * paddedDim];
      }
      if (out.length < tiles * paddedDim * COLUMNS) {
        queries = new float[tiles * paddedDim * COLUMNS];
        out = new float[tiles * paddedDim * COLUMNS];
      }
    }
  }

  private record Task(AttentionGroup group, int fromQuery, int toQuery) {
    /** Number of products, to put the long tasks first. */
    long cost() {
      return (long) (toQuery - fromQuery) * (group.limit(toQuery - 1) - group.from());
    }
  }

  /** Computes the attention of all groups. */
  public void attend(List<AttentionGroup> groups) {
    long tiles = 0;
    for (AttentionGroup group : groups) {
      tiles += Math.ceilDiv(group.queryCount(), COLUMNS);
    }
    int wanted = (int) Math.ceilDiv(tiles, (long) TASKS_PER_WORKER * workers.count());
    List<Task> tasks = new ArrayList<>();
    for (AttentionGroup group : groups) {
      int mostTiles = MOST_TILE_FLOATS / (2 * COLUMNS * padded(group.keyValues().headDim()));
      int step = Math.clamp(wanted, 1, Math.clamp(mostTiles, 1, MOST_TILES)) * COLUMNS;
      for (int query = 0; query < group.queryCount(); query += step) {
        tasks.add(new Task(group, query, Math.min(query + step, group.queryCount())));
      }
    }
    tasks.sort((a, b) -> Long.compare(b.cost(), a.cost()));
    workers.run(tasks.size(), (task, worker) -> run(tasks.get(task), locals[worker]));
  }

  private static void run(Task task, Local local) {
    AttentionGroup group = task.group;
    int headDim = group.keyValues().headDim();
    int paddedDim = padded(headDim);
    int queries = task.toQuery - task.fromQuery;
    int tiles = Math.ceilDiv(queries, COLUMNS);
    local.reserve(headDim, paddedDim, tiles);

    // pass 1: transpose the queries; nothing seen so far
    for (int tile = 0; tile < tiles; tile++) {
      packQueries(task, tile, local, headDim, paddedDim);
    }
    Arrays.fill(local.max, 0, tiles * COLUMNS, NO_SCORE);
    Arrays.fill(local.sum, 0, tiles * COLUMNS, 0);
    Arrays.fill(local.out, 0, tiles * paddedDim * COLUMNS, 0);

    // pass 2: block after block of keys, each used by all tiles that see any of it
    int end = group.limit(task.toQuery - 1);
    for (int key = group.from(); key < end; key += KEYS) {
      int keys = Math.min(KEYS, end - key);
      packKeys(group.keyValues(), key, keys, local, headDim);
      packValues(group.keyValues(), key, keys, local, headDim, paddedDim);
      for (int tile = 0; tile < tiles; tile++) {
        attendTile(task, tile, key, keys, local, headDim, paddedDim);
      }
    }

    // pass 3: divide by the sums and transpose back
    for (int tile = 0; tile < tiles; tile++) {
      writeTile(task, tile, local, headDim, paddedDim);
    }
  }

  /** One tile and one block of keys: scores, softmax so far, values. */
  private static void attendTile(
      Task task, int tile, int key, int blockKeys, Local local, int headDim, int paddedDim) {
    AttentionGroup group = task.group;
    int firstQuery = task.fromQuery + tile * COLUMNS;
    int lastQuery = Math.min(firstQuery + COLUMNS, task.toQuery) - 1;
    int keys = Math.min(blockKeys, group.limit(lastQuery) - key);
    if (keys <= 0) {
      return;
    }
    int state = tile * COLUMNS;
    int tileFloats = tile * paddedDim * COLUMNS;

    // pass 1: scores and their maximum, with a look at the limits only where some query has one
    int seenByAll = Math.clamp(group.limit(firstQuery) - key, 0, keys) / ROWS * ROWS;
    System.arraycopy(local.max, state, local.newMax, 0, COLUMNS);
    for (int k = 0; k < keys; k += ROWS) {
      AttentionTile.scores(
          local.weights,
          k * COLUMNS,
          k < seenByAll ? local.newMax : local.ignored,
          local.keys,
          k * headDim,
          local.queries,
          tileFloats,
          headDim);
    }
    if (seenByAll < keys) {
      for (int column = 0; column < COLUMNS; column++) {
        int query = Math.min(firstQuery + column, lastQuery);
        local.limit[column] = group.limit(query) - key - seenByAll;
      }
      AttentionTile.mask(
          local.weights, seenByAll * COLUMNS, local.newMax, local.limit, keys - seenByAll);
    }

    // pass 2: weights relative to the new maximum
    AttentionTile.weights(
        local.weights, 0, local.factor, local.max, local.sum, state, local.newMax, keys);

    // pass 3: rescale what was summed before, and add the values
    for (int dim = 0; dim < paddedDim; dim += ROWS) {
      AttentionTile.addValues(
          local.out,
          tileFloats + dim * COLUMNS,
          local.factor,
          local.values,
          dim * KEYS,
          local.weights,
          0,
          keys);
    }
  }

  /** Writes the queries of a tile as [headDim][COLUMNS], times the scale, to the base 2. */
  private static void packQueries(Task task, int tile, Local local, int headDim, int paddedDim) {
    float scale = task.group.scale() * Exponential.LOG2_E;
    int first = task.fromQuery + tile * COLUMNS;
    int count = Math.min(COLUMNS, task.toQuery - first);
    float[] packed = local.queries;
    int at = tile * paddedDim * COLUMNS;
    Arrays.fill(packed, at, at + headDim * COLUMNS, 0);
    for (int column = 0; column < count; ) {
      int heads = task.group.sameRow(first + column, count - column);
      task.group.readQueries(first + column, heads, local.rows, 0);
      for (int head = 0; head < heads; head++) {
        for (int dim = 0; dim < headDim; dim++) {
          packed[at + dim * COLUMNS + column + head] = local.rows[head * headDim + dim] * scale;
        }
      }
      column += heads;
    }
  }

  /** Writes the keys of a block as [keys / ROWS][headDim][ROWS]; the last key fills up its row. */
  private static void packKeys(KeyValues from, int key, int keys, Local local, int headDim) {
    from.readKeys(key, keys, local.rows);
    for (int k = 0; k < keys; k += ROWS) {
      packEight(local.keys, k * headDim, local.rows, k, Math.min(ROWS, keys - k), headDim);
    }
  }

  private static void packEight(
      float[] packed, int at, float[] rows, int key, int count, int headDim) {
    int last = count - 1;
    int r0 = key * headDim;
    int r1 = (key + Math.min(1, last)) * headDim;
    int r2 = (key + Math.min(2, last)) * headDim;
    int r3 = (key + Math.min(3, last)) * headDim;
    int r4 = (key + Math.min(4, last)) * headDim;
    int r5 = (key + Math.min(5, last)) * headDim;
    int r6 = (key + Math.min(6, last)) * headDim;
    int r7 = (key + Math.min(7, last)) * headDim;
    for (int dim = 0; dim < headDim; dim++) {
      int to = at + dim * ROWS;
      packed[to] = rows[r0 + dim];
      packed[to + 1] = rows[r1 + dim];
      packed[to + 2] = rows[r2 + dim];
      packed[to + 3] = rows[r3 + dim];
      packed[to + 4] = rows[r4 + dim];
      packed[to + 5] = rows[r5 + dim];
      packed[to + 6] = rows[r6 + dim];
      packed[to + 7] = rows[r7 + dim];
    }
  }

  /**
   * Writes the values of a block as [paddedDim / ROWS][KEYS][ROWS]; dimensions past the end are 0.
   */
  private static void packValues(
      KeyValues from, int key, int keys, Local local, int headDim, int paddedDim) {
    from.readValues(key, keys, local.rows);
    float[] rows = local.rows;
    float[] packed = local.values;
    for (int dim = 0; dim < paddedDim; dim += ROWS) {
      int whole = Math.min(ROWS, headDim - dim);
      for (int k = 0; k < keys; k++) {
        int in = k * headDim + dim;
        int to = dim * KEYS + k * ROWS;
        if (whole == ROWS) {
          packed[to] = rows[in];
          packed[to + 1] = rows[in + 1];
          packed[to + 2] = rows[in + 2];
          packed[to + 3] = rows[in + 3];
          packed[to + 4] = rows[in + 4];
          packed[to + 5] = rows[in + 5];
          packed[to + 6] = rows[in + 6];
          packed[to + 7] = rows[in + 7];
        } else {
          for (int i = 0; i < ROWS; i++) {
            packed[to + i] = i < whole ? rows[in + i] : 0;
          }
        }
      }
    }
  }

  private static void writeTile(Task task, int tile, Local local, int headDim, int paddedDim) {
    int first = task.fromQuery + tile * COLUMNS;
    int count = Math.min(COLUMNS, task.toQuery - first);
    int at = tile * paddedDim * COLUMNS;
    for (int column = 0; column < count; ) {
      int heads = task.group.sameRow(first + column, count - column);
      for (int head = 0; head < heads; head++) {
        int state = tile * COLUMNS + column + head;
        float sum = local.sum[state];
        float factor = sum == 0 ? 0 : 1 / sum;
        for (int dim = 0; dim < headDim; dim++) {
          int from = at + dim * COLUMNS + column + head;
          local.rows[head * headDim + dim] = local.out[from] * factor;
        }
        double logSum = local.max[state] * Exponential.LN_2 + Math.log(sum);
        task.group.writeLogSumExp(first + column + head, logSum);
      }
      task.group.writeOutputs(first + column, heads, local.rows, 0);
      column += heads;
    }
  }

  private static int padded(int headDim) {
    return Math.ceilDiv(headDim, ROWS) * ROWS;
  }
}
