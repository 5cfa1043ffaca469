package org.parallelcomp.core.policies.calibrate;

import java.util.List;
import java.util.Optional;
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
import org.parallelcomp.api.policy.SinkReweighting;

/**
 * Gives the attention sinks of the kept chunks less weight instead of evicting them.
 *
 * <p>Sinks and all other keys are attended to apart. The share s that the sinks draw of a row's
 * attention becomes {@code beta * s}, that of the others {@code 1 - beta * s}, in proportion to
 * what they drew. Question and answer attend so in the given layers.
 *
 * <p><i>Based on</i> ACT, <a href="https://arxiv.org/abs/2406.15765">arXiv 2406.15765</a>, as
 * ParallelComp's first code used it (AttenCalibration).
 *
 * <p>Parameters: {@code beta} = 0.4; {@code sinks} = 4 tokens of each kept chunk; {@code from} = 1
 * and {@code to} = 1000000, the first and last layer, counted from 1.
 *
 * <p><i>Differs from the paper in</i> taking the first tokens of each chunk for its sinks, in every
 * head, instead of looking for columns above a threshold in chosen heads.
 */
public final class AttentionReweight implements CalibrationPolicy {
  /** Makes the policy {@code attention-reweight}. */
  public static final PolicyFactory<CalibrationPolicy> FACTORY =
      new PolicyFactory<>(
          PolicyKind.CALIBRATION,
          "attention-reweight",
          "The sinks of the kept chunks draw less attention; nothing is evicted.",
          "Sinks and the rest are attended to apart and merged with changed weights: beta * s for"
              + " the sinks' share s, 1 - beta * s for the rest. Based on ACT (arXiv 2406.15765);"
              + " differs in taking the first tokens of each chunk for its sinks, in every head.",
          List.of(
              Parameter.number("beta", 0.4, 0, 1, "", "what becomes of the sinks' share"),
              Parameter.integer("sinks", 4, 1, "tokens", "first tokens of each kept chunk"),
              Parameter.integer("from", 1, 1, "", "first layer, counted from 1"),
              Parameter.integer("to", 1_000_000, 1, "", "last layer")),
          AttentionReweight::new);

  private final SinkReweighting reweighting;
  private final int from;
  private final int to;

  private AttentionReweight(Parameters parameters) {
    this.reweighting = new SinkReweighting(parameters.integer("sinks"), parameters.number("beta"));
    this.from = parameters.integer("from");
    this.to = parameters.integer("to");
  }

  @Override
  public Set<Evidence> requires(int layer, int layers) {
    return Set.of();
  }

  @Override
  public Optional<SinkReweighting> reweighting(int layer, int layers) {
    return from <= layer + 1 && layer + 1 <= to ? Optional.of(reweighting) : Optional.empty();
  }

  @Override
  public TokenSelection calibrate(LayerEvidence evidence, TokenSelection current, TensorOps ops) {
    return current;
  }
}
