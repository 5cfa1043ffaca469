package org.parallelcomp.engine.generate;

import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import java.util.SplittableRandom;
import org.parallelcomp.engine.Sampling;

/** Draws tokens from logits. One per request, since it remembers what was drawn. */
final class Sampler implements NextToken {
  private final Sampling sampling;
  private final SplittableRandom random;
  private final Set<Integer> seen = new HashSet<>();

  /**
   * @param promptIds tokens that the repetition penalty counts from the start
   */
  Sampler(Sampling sampling, int[] promptIds) {
    this.sampling = sampling;
    this.random = new SplittableRandom(sampling.seed());
    if (sampling.repetitionPenalty() != 1) {
      for (int id : promptIds) {
        seen.add(id);
      }
    }
  }

  @Override
  public boolean takesTheMostLikely() {
    return sampling.temperature() == 0 && sampling.repetitionPenalty() == 1;
  }

  @Override
  public int next(float[] logits) {
    penalise(logits);
    int token = sampling.temperature() == 0 ? argMax(logits) : draw(logits);
    if (sampling.repetitionPenalty() != 1) {
      seen.add(token);
    }
    return token;
  }

  private void penalise(float[] logits) {
    for (int token : seen) {
      double penalty = sampling.repetitionPenalty();
      logits[token] =
          (float) (logits[token] > 0 ? logits[token] / penalty : logits[token] * penalty);
    }
  }

  /** The earliest of the greatest. */
  static int argMax(float[] logits) {
    int best = 0;
    for (int i = 1; i < logits.length; i++) {
      if (logits[i] > logits[best]) {
        best = i;
      }
    }
    return best;
  }

  private int draw(float[] logits) {
    double max = logits[argMax(logits)];
    double[] weights = new double[logits.length];
    for (int i = 0; i < logits.length; i++) {
      weights[i] = Math.exp((logits[i] - max) / sampling.temperature());
    }
    Integer[] byWeight = null;
    int candidates = logits.length;
    if (sampling.topK() > 0 || sampling.topP() < 1) {
      byWeight = sortedByWeight(weights);
      if (sampling.topK() > 0) {
        candidates = Math.min(candidates, sampling.topK());
      }
      candidates = withinTopP(weights, byWeight, candidates);
    }
    double total = 0;
    for (int rank = 0; rank < candidates; rank++) {
      int token = byWeight == null ? rank : byWeight[rank];
      // The greatest weight is exp(0) = 1, so minP is compared with the weight itself.
      if (weights[token] < sampling.minP()) {
        weights[token] = 0;
      }
      total += weights[token];
    }
    double left = random.nextDouble() * total;
    int last = -1;
    for (int rank = 0; rank < candidates; rank++) {
      int token = byWeight == null ? rank : byWeight[rank];
      if (weights[token] > 0) {
        last = token;
        left -= weights[token];
        if (left < 0) {
          return token;
        }
      }
    }
    return last;
  }

  private int withinTopP(double[] weights, Integer[] byWeight, int candidates) {
    if (sampling.topP() == 1) {
      return candidates;
    }
    double total = 0;
    for (int rank = 0; rank < candidates; rank++) {
      total += weights[byWeight[rank]];
    }
    double reached = 0;
    for (int rank = 0; rank < candidates; rank++) {
      reached += weights[byWeight[rank]];
      if (reached >= sampling.topP() * total) {
        return rank + 1;
      }
    }
    return candidates;
  }

  private static Integer[] sortedByWeight(double[] weights) {
    Integer[] order = new Integer[weights.length];
    Arrays.setAll(order, i -> i);
    Arrays.sort(
        order, (a, b) -> weights[a] != weights[b] ? Double.compare(weights[b], weights[a]) : a - b);
    return order;
  }
}
