package org.parallelcomp.core.policies.calibrate;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.evidence.HeadReduction;
import org.parallelcomp.api.evidence.LayerEvidence;
import org.parallelcomp.api.policy.CalibrationPolicy;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.Parameters;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.core.policies.score.Window;

/**
 * Gives up kept keys that draw abnormally high attention in some layers and zones.
 *
 * <p>In each range's layers a kept key of its zone goes if the last token of the pass gives it an
 * attention probability above the threshold. With {@code equalise} every head then gives up as many
 * keys as the head with the most: the others' remaining ones are those that the window looks at
 * least, of equal ones the later. Ranges act one after the other, each on what is left.
 *
 * <p><i>Based on</i> the calibration of ParallelComp, <a
 * href="https://arxiv.org/abs/2502.14317">arXiv 2502.14317</a>, equation 8 and appendix C.
 *
 * <p>Parameters:
 *
 * <ul>
 *   <li>{@code ranges} = 0%-25%:middle:0.1;25%-50%:recent:0.1;75%-100%:sink:0.1, a list of {@code
 *       layers:zone:threshold} separated by semicolons. Layers are numbers from 1, both ends
 *       included (9-16), or percentages of the depth; a layer belongs to a percentage range if its
 *       middle lies in it.
 *   <li>{@code zone} = 100 tokens, the length of the zones sink and recent; middle is what lies
 *       between them.
 *   <li>{@code count-prefix} = true, whether the sink zone is counted from the beginning of the
 *       pass, prefix included, or from the first token of the context. Prefix keys always stay.
 *   <li>{@code heads} = any: a key goes from a kv head if any of its query heads exceeds the
 *       threshold; or their mean; or all of them.
 *   <li>{@code equalise} = true, whether every head gives up as many keys; false leaves the heads
 *       ragged.
 *   <li>{@code window} = 8 tokens, whose attention decides which keys are the weakest (0: all
 *       behind the context).
 * </ul>
 *
 * <p><i>Differs from the paper in</i> that all ranges act in one run, which the released code
 * cannot express, and that zones are those of each chunk, as the paper says and the code does not
 * do.
 */
public final class AttentionThreshold implements CalibrationPolicy {
  /** The mix that the paper found best, for models of any depth. */
  private static final String PAPER = "0%-25%:middle:0.1;25%-50%:recent:0.1;75%-100%:sink:0.1";

  /** Makes the policy {@code attention-threshold}. */
  public static final PolicyFactory<CalibrationPolicy> FACTORY =
      new PolicyFactory<>(
          PolicyKind.CALIBRATION,
          "attention-threshold",
          "Gives up keys that draw abnormally high attention in some layers and zones.",
          "A kept key goes if the last token gives it more attention than the threshold of a range"
              + " that holds its layer and zone. Based on ParallelComp (arXiv 2502.14317, equation"
              + " 8); differs in letting several ranges act in one run, on zones of each chunk.",
          List.of(
              Parameter.text(
                  "ranges",
                  PAPER,
                  "layers:zone:threshold separated by ';', layers from 1 or in percent of the"
                      + " depth, zones sink, middle, recent"),
              Parameter.integer(
                  "zone", 100, 1, "tokens", "length of the zones at the beginning and the end"),
              Parameter.flag(
                  "count-prefix",
                  true,
                  "whether the first zone is counted from the beginning of the prefix"),
              Parameter.choice(
                  "heads",
                  "which query heads of a kv head must exceed the threshold",
                  "any",
                  "mean",
                  "all"),
              Parameter.flag("equalise", true, "whether every head gives up as many keys"),
              Parameter.integer(
                  "window",
                  8,
                  0,
                  "tokens",
                  "last tokens whose attention says which keys are weakest; 0 for all behind the"
                      + " context")),
          AttentionThreshold::new);

  private final List<CalibrationRange> ranges;
  private final int zoneTokens;
  private final boolean countPrefix;
  private final HeadReduction heads;
  private final boolean equalise;
  private final int window;

  private AttentionThreshold(Parameters parameters) {
    this.ranges = ranges(parameters.text("ranges"));
    this.zoneTokens = parameters.integer("zone");
    this.countPrefix = parameters.flag("count-prefix");
    this.heads =
        switch (parameters.text("heads")) {
          case "any" -> HeadReduction.MAX;
          case "mean" -> HeadReduction.MEAN;
          default -> HeadReduction.MIN;
        };
    this.equalise = parameters.flag("equalise");
    this.window = parameters.integer("window");
  }

  private static List<CalibrationRange> ranges(String text) {
    var faults = new ArrayList<String>();
    var result = new ArrayList<CalibrationRange>();
    for (String part : text.split(";", -1)) {
      String range = part.strip();
      String fault = CalibrationRange.fault(range);
      if (fault == null) {
        result.add(CalibrationRange.parse(range));
      } else {
        faults.add("range '" + range + "' " + fault + ".");
      }
    }
    if (!faults.isEmpty()) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT, "attention-threshold: " + String.join(" ", faults));
    }
    return List.copyOf(result);
  }

  @Override
  public Set<Evidence> requires(int layer, int layers) {
    return ranges.stream().anyMatch(r -> r.contains(layer, layers))
        ? Set.of(Evidence.ATTENTION_MASS)
        : Set.of();
  }

  @Override
  public int windowTokens(int queryTokens) {
    return window == 0 ? queryTokens : window;
  }

  @Override
  public TokenSelection calibrate(LayerEvidence evidence, TokenSelection current, TensorOps ops) {
    TokenSelection kept = current;
    for (CalibrationRange range : ranges) {
      if (range.contains(evidence.layer(), evidence.layers())) {
        kept = calibrate(range, evidence, kept, ops);
      }
    }
    return kept;
  }

  private TokenSelection calibrate(
      CalibrationRange range, LayerEvidence evidence, TokenSelection kept, TensorOps ops) {
    Tensor isKept = ops.mask(kept);
    Tensor isAbnormal = ops.greaterThan(evidence.attentionMass(1, heads), range.threshold());
    Tensor isHot = ops.multiply(ops.multiply(isAbnormal, zone(range, evidence, ops)), isKept);
    int[] hotTokens = ops.selectWhere(isHot).keptTokens();
    int most = Arrays.stream(hotTokens).max().orElse(0);
    if (most == 0) {
      return kept;
    }
    Tensor stays = ops.subtract(isKept, isHot);
    return ops.selectWhere(equalise ? strongest(kept, most, stays, evidence, ops) : stays);
  }

  /** Returns 1 at the context's tokens of a zone, {@code [contextTokens]}. */
  private Tensor zone(CalibrationRange range, LayerEvidence evidence, TensorOps ops) {
    int tokens = evidence.contextTokens();
    int sinkEnd = zoneTokens - (countPrefix ? evidence.prefixTokens() : 0);
    int recentStart = tokens - zoneTokens;
    return switch (range.zone()) {
      case SINK -> between(0, sinkEnd, tokens, ops);
      case MIDDLE -> between(sinkEnd, recentStart, tokens, ops);
      case RECENT -> between(recentStart, tokens, tokens, ops);
    };
  }

  /** Returns 1 at the positions {@code [from, to)} and 0 elsewhere. */
  private static Tensor between(int from, int to, int tokens, TensorOps ops) {
    Tensor position = ops.range(tokens);
    return ops.subtract(
        ops.greaterThan(position, from - 0.5f),
        ops.greaterThan(position, Math.max(from, to) - 0.5f));
  }

  /** Returns 1 at the keys that are left when each head gave up its hot and its weakest keys. */
  private Tensor strongest(
      TokenSelection kept, int most, Tensor stays, LayerEvidence evidence, TensorOps ops) {
    Tensor mass = evidence.attentionMass(Window.queries(evidence, window), HeadReduction.MEAN);
    // Mass is never negative: -1 ranks NaN below every number, -2 what has gone below NaN.
    Tensor known = ops.where(ops.greaterThan(mass, -1), mass, ops.full(Shape.of(1), -1));
    Tensor rank = ops.where(stays, known, ops.full(Shape.of(1), -2));
    var rows = new ArrayList<Tensor>();
    for (int h = 0; h < kept.kvHeads(); h++) {
      int left = Math.max(0, kept.keptTokens(h) - most);
      Tensor strongest = ops.topK(rank.slice(0, h, h + 1), left);
      rows.add(ops.mask(TokenSelection.uniform(kept.tokens(), strongest)));
    }
    return ops.concat(rows, 0);
  }
}
