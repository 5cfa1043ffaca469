package org.parallelcomp.conformance;

import java.util.EnumSet;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.evidence.HeadReduction;
import org.parallelcomp.api.evidence.LayerEvidence;
import org.parallelcomp.api.tensor.Tensor;

/** A layer that never was: numbers from a seed, and a record of what was read of it. */
final class SeededLayer implements LayerEvidence {
  /** What the numbers are like. */
  enum Numbers {
    /** Normally distributed with outliers; attention with a few keys that draw much. */
    NORMAL,
    /** Of few values, so that many are equal. */
    COARSE,
    /** As NORMAL, and some are not a number. */
    NAN,
    /** All the same. */
    EQUAL
  }

  /**
   * How large it is.
   *
   * @param layer the layer, from 0
   */
  record Sizes(
      int layer,
      int layers,
      int queryHeads,
      int kvHeads,
      int headDim,
      int prefixTokens,
      int contextTokens,
      int queryTokens) {
    Sizes atLayer(int other) {
      return new Sizes(
          other, layers, queryHeads, kvHeads, headDim, prefixTokens, contextTokens, queryTokens);
    }
  }

  private final PolicyBench bench;
  private final Sizes sizes;
  private final Numbers numbers;
  private final long seed;
  private final Set<Evidence> declared;
  private final int windowTokens;
  private final int keptTokens;
  private final Set<Evidence> read = EnumSet.noneOf(Evidence.class);

  /**
   * @param declared what the policy said that it reads; all else fails
   * @param windowTokens the policy's window; to look at more fails
   * @param keptTokens the budget
   */
  SeededLayer(
      PolicyBench bench,
      Sizes sizes,
      Numbers numbers,
      long seed,
      Set<Evidence> declared,
      int windowTokens,
      int keptTokens) {
    this.bench = bench;
    this.sizes = sizes;
    this.numbers = numbers;
    this.seed = seed;
    this.declared = declared;
    this.windowTokens = windowTokens;
    this.keptTokens = keptTokens;
  }

  /** Returns what has been read so far. */
  Set<Evidence> read() {
    return read;
  }

  @Override
  public int layer() {
    return sizes.layer;
  }

  @Override
  public int layers() {
    return sizes.layers;
  }

  @Override
  public int queryHeads() {
    return sizes.queryHeads;
  }

  @Override
  public int kvHeads() {
    return sizes.kvHeads;
  }

  @Override
  public int headDim() {
    return sizes.headDim;
  }

  @Override
  public int prefixTokens() {
    return sizes.prefixTokens;
  }

  @Override
  public int contextTokens() {
    return sizes.contextTokens;
  }

  @Override
  public int queryTokens() {
    return sizes.queryTokens;
  }

  @Override
  public int keptTokens() {
    return keptTokens;
  }

  @Override
  public Tensor keys() {
    return vectors(Evidence.KEYS, sizes.kvHeads, sizes.contextTokens);
  }

  @Override
  public Tensor values() {
    return vectors(Evidence.VALUES, sizes.kvHeads, sizes.contextTokens);
  }

  @Override
  public Tensor windowQueries(int window) {
    return vectors(Evidence.WINDOW_QUERIES, sizes.queryHeads, rows(window));
  }

  @Override
  public Tensor contextQueries() {
    return vectors(Evidence.CONTEXT_QUERIES, sizes.queryHeads, sizes.contextTokens);
  }

  @Override
  public Tensor unrotatedKeys() {
    return vectors(Evidence.UNROTATED_KEYS, sizes.kvHeads, sizes.contextTokens);
  }

  @Override
  public Tensor unrotatedContextQueries() {
    return vectors(Evidence.UNROTATED_QUERIES, sizes.queryHeads, sizes.contextTokens);
  }

  /** The mean of turns by angles around a small one: turns a little and shrinks a little. */
  @Override
  public Tensor meanRotation(int positions) {
    note(Evidence.MEAN_ROTATION);
    if (positions < 1) {
      throw new AssertionError("asked for the mean over " + positions + " positions, " + sizes);
    }
    int half = sizes.headDim / 2;
    float[] all = new float[sizes.headDim * sizes.headDim];
    for (int i = 0; i < half; i++) {
      all[i * sizes.headDim + i] = 0.9f;
      all[(i + half) * sizes.headDim + i + half] = 0.9f;
      all[i * sizes.headDim + i + half] = -0.3f;
      all[(i + half) * sizes.headDim + i] = 0.3f;
    }
    return bench.floats(all, sizes.headDim, sizes.headDim);
  }

  @Override
  public Tensor outputProjection() {
    note(Evidence.OUTPUT_PROJECTION);
    int hiddenDim = sizes.queryHeads * sizes.headDim;
    float[] all = new float[hiddenDim * hiddenDim];
    Random random = random(Evidence.OUTPUT_PROJECTION, 0, 0);
    for (int i = 0; i < all.length; i++) {
      all[i] = (float) random.nextGaussian();
    }
    return bench.floats(all, sizes.queryHeads, sizes.headDim, hiddenDim);
  }

  private Tensor vectors(Evidence evidence, int heads, int tokens) {
    note(evidence);
    float[] all = new float[heads * tokens * sizes.headDim];
    for (int h = 0; h < heads; h++) {
      for (int t = 0; t < tokens; t++) {
        Random random = random(evidence, h, t);
        boolean nan = numbers == Numbers.NAN && random.nextInt(9) == 0;
        for (int d = 0; d < sizes.headDim; d++) {
          double normal = random.nextGaussian() * (random.nextInt(50) == 0 ? 10 : 1);
          all[(h * tokens + t) * sizes.headDim + d] =
              switch (numbers) {
                case NORMAL -> (float) normal;
                case NAN -> nan ? Float.NaN : (float) normal;
                case COARSE -> d == 0 ? random.nextInt(4) : 1;
                case EQUAL -> 1;
              };
        }
      }
    }
    return bench.floats(all, heads, tokens, sizes.headDim);
  }

  @Override
  public Tensor attentionMass(int window, HeadReduction reduction) {
    note(Evidence.ATTENTION_MASS);
    int rows = rows(window);
    int tokens = sizes.contextTokens;
    int group = sizes.queryHeads / sizes.kvHeads;
    int heads = reduction == HeadReduction.NONE ? sizes.queryHeads : sizes.kvHeads;
    int heard = reduction == HeadReduction.NONE ? 1 : group;
    float[] all = new float[heads * tokens];
    for (int h = 0; h < heads; h++) {
      double[][] mass = new double[heard][];
      for (int g = 0; g < heard; g++) {
        mass[g] = mass(h * heard + g, rows);
      }
      for (int t = 0; t < tokens; t++) {
        double reduced = mass[0][t];
        for (int g = 1; g < heard; g++) {
          reduced =
              switch (reduction) {
                case MAX -> Math.max(reduced, mass[g][t]);
                case MIN -> Math.min(reduced, mass[g][t]);
                default -> reduced + mass[g][t];
              };
        }
        all[h * tokens + t] = (float) (reduction == HeadReduction.MEAN ? reduced / heard : reduced);
      }
    }
    return bench.floats(all, heads, tokens);
  }

  /** Attention of the last rows of the pass to each context token, summed over them. */
  private double[] mass(int queryHead, int rows) {
    double[] mass = new double[sizes.contextTokens];
    for (int r = 0; r < rows; r++) {
      int behindEnd = rows - r;
      int position = sizes.contextTokens + sizes.queryTokens - behindEnd;
      Random random = random(Evidence.ATTENTION_MASS, queryHead, behindEnd);
      for (int t = 0; t < mass.length; t++) {
        double little = random.nextDouble() * 0.01;
        double much = random.nextInt(20) == 0 ? 0.05 + 0.3 * random.nextDouble() : 0;
        boolean nan = random.nextInt(9) == 0;
        double probability =
            switch (numbers) {
              case NORMAL -> little + much;
              case NAN -> nan ? Double.NaN : little + much;
              case COARSE -> (int) (little * 400) * 0x1p-10;
              case EQUAL -> 0x1p-10;
            };
        // Nobody looks ahead.
        mass[t] += t > position ? 0 : probability;
      }
    }
    return mass;
  }

  private int rows(int window) {
    int pass = sizes.contextTokens + sizes.queryTokens;
    int rows = window == 0 ? sizes.queryTokens : window == WHOLE_PASS ? pass : window;
    int most = windowTokens == 0 ? sizes.queryTokens : Math.min(windowTokens, pass);
    if (rows > most) {
      throw new AssertionError(
          "looked at " + rows + " tokens where its window is " + most + ", " + sizes);
    }
    if (rows < 1 || rows > pass) {
      throw new AssertionError("asked for " + rows + " tokens of a pass of " + pass + ", " + sizes);
    }
    return rows;
  }

  private void note(Evidence evidence) {
    if (!declared.contains(evidence)) {
      throw new AssertionError("read " + evidence + " and declared " + declared + ", " + sizes);
    }
    read.add(evidence);
  }

  private Random random(Evidence evidence, int... at) {
    return new Random(
        Objects.hash(seed, evidence.ordinal(), sizes.layer, at[0], at[1]) * 0x9E3779B97F4A7C15L);
  }

  @Override
  public String toString() {
    return numbers + " " + sizes;
  }
}
