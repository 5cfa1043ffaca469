package org.parallelcomp.eval;

import java.util.List;

/** How far two sequences of next-token distributions are apart. */
final class Divergence {
  private Divergence() {}

  /**
   * Returns the mean over the positions of {@code KL(p || q) = sum_t p_t (ln p_t - ln q_t)}, in
   * nats; p and q are the softmax of the logits.
   *
   * @param reference logits of p, a vector per position
   * @param other logits of q, likewise
   */
  static double mean(List<float[]> reference, List<float[]> other) {
    if (reference.size() != other.size() || reference.isEmpty()) {
      throw new IllegalArgumentException(reference.size() + " and " + other.size() + " positions");
    }
    double sum = 0;
    for (int i = 0; i < reference.size(); i++) {
      sum += divergence(reference.get(i), other.get(i));
    }
    return sum / reference.size();
  }

  private static double divergence(float[] reference, float[] other) {
    double normP = logSumExp(reference);
    double normQ = logSumExp(other);
    double sum = 0;
    for (int t = 0; t < reference.length; t++) {
      double logP = reference[t] - normP;
      sum += Math.exp(logP) * (logP - (other[t] - normQ));
    }
    return sum;
  }

  /** Returns {@code ln sum_t exp(logit_t)}. */
  static double logSumExp(float[] logits) {
    double largest = Double.NEGATIVE_INFINITY;
    for (float logit : logits) {
      largest = Math.max(largest, logit);
    }
    double sum = 0;
    for (float logit : logits) {
      sum += Math.exp(logit - largest);
    }
    return largest + Math.log(sum);
  }
}
