package org.parallelcomp.core.policies.calibrate;

import java.util.List;
import java.util.Set;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.evidence.LayerEvidence;
import org.parallelcomp.api.policy.CalibrationPolicy;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.Parameters;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.TokenScorer;
import org.parallelcomp.api.tensor.Tensor;

/**
 * Keeps the tokens whose score reaches a threshold, however many they are.
 *
 * <p>Of what the budget has left, each head gives up the tokens with a lower score, or with none
 * (NaN). The most recent tokens stay. With the budget {@code everything} the threshold alone
 * decides, and heads keep different numbers of tokens.
 *
 * <p><i>Based on</i> the form of Dynamic Memory Sparsification, <a
 * href="https://arxiv.org/abs/2506.05345">arXiv 2506.05345</a>, with a scorer in place of its
 * trained one.
 *
 * <p>Parameters: {@code scorer} = key-diff; {@code least} = -0.5, the lowest score that stays;
 * {@code recent} = 128 tokens.
 *
 * <p><i>Differs from the paper in</i> the scorer and in acting once, after the prefill of a chunk.
 */
public final class ScoreThreshold implements CalibrationPolicy {
  /** Makes the policy {@code score-threshold}. */
  public static final PolicyFactory<CalibrationPolicy> FACTORY =
      new PolicyFactory<>(
          PolicyKind.CALIBRATION,
          "score-threshold",
          "Keeps the tokens whose score reaches a threshold, however many they are.",
          "Of what the budget has left; the most recent tokens stay. Based on the form of Dynamic"
              + " Memory Sparsification (arXiv 2506.05345); differs in a scorer that is not"
              + " trained.",
          List.of(
              Parameter.policy("scorer", PolicyKind.TOKEN_SCORER, "key-diff", "what scores"),
              Parameter.number(
                  "least", -0.5, -Float.MAX_VALUE, Float.MAX_VALUE, "", "lowest score that stays"),
              Parameter.integer("recent", 128, 0, "tokens", "tokens at the end that stay")),
          ScoreThreshold::new);

  private final TokenScorer scorer;
  private final float least;
  private final int recent;

  private ScoreThreshold(Parameters parameters) {
    this.scorer = parameters.policy("scorer", TokenScorer.class);
    this.least = (float) parameters.number("least");
    this.recent = parameters.integer("recent");
  }

  @Override
  public Set<Evidence> requires(int layer, int layers) {
    return scorer.requires();
  }

  @Override
  public int windowTokens(int queryTokens) {
    return scorer.windowTokens(queryTokens);
  }

  @Override
  public TokenSelection calibrate(LayerEvidence evidence, TokenSelection current, TensorOps ops) {
    int tokens = evidence.contextTokens();
    Tensor scores = scorer.score(evidence, ops);
    Tensor reachesLeast = ops.greaterThan(scores, Math.nextDown(least));
    Tensor isRecent = ops.greaterThan(ops.range(tokens), tokens - recent - 0.5f);
    Tensor stays = ops.greaterThan(ops.add(reachesLeast, isRecent), 0);
    return ops.selectWhere(ops.multiply(stays, ops.mask(current)));
  }
}
