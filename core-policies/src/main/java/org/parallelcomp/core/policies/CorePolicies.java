package org.parallelcomp.core.policies;

import java.util.List;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyProvider;
import org.parallelcomp.api.policy.Preset;
import org.parallelcomp.core.policies.calibrate.AttentionThreshold;
import org.parallelcomp.core.policies.calibrate.NoCalibration;
import org.parallelcomp.core.policies.chunk.AllChunks;
import org.parallelcomp.core.policies.chunk.BestChunks;
import org.parallelcomp.core.policies.chunk.ConstantChunkScore;
import org.parallelcomp.core.policies.chunk.EvenChunks;
import org.parallelcomp.core.policies.chunk.RandomChunkScore;
import org.parallelcomp.core.policies.chunk.SelfInformation;
import org.parallelcomp.core.policies.chunk.WholeText;
import org.parallelcomp.core.policies.score.ConstantTokenScore;
import org.parallelcomp.core.policies.score.KeyNorm;
import org.parallelcomp.core.policies.score.SinksAndRecent;
import org.parallelcomp.core.policies.score.SnapKv;
import org.parallelcomp.core.policies.score.WindowAttention;
import org.parallelcomp.core.policies.select.ByteBudget;
import org.parallelcomp.core.policies.select.EverythingBudget;
import org.parallelcomp.core.policies.select.FractionBudget;
import org.parallelcomp.core.policies.select.TokenBudget;
import org.parallelcomp.core.policies.select.TopK;

/** Offers the policies of this module and the presets. */
public final class CorePolicies implements PolicyProvider {
  /** Creates the provider; called by the service loader. */
  public CorePolicies() {}

  @Override
  public List<PolicyFactory<?>> policies() {
    return List.of(
        EvenChunks.FACTORY,
        WholeText.FACTORY,
        SelfInformation.FACTORY,
        ConstantChunkScore.FACTORY,
        RandomChunkScore.FACTORY,
        BestChunks.FACTORY,
        AllChunks.FACTORY,
        EverythingBudget.FACTORY,
        TokenBudget.FACTORY,
        FractionBudget.FACTORY,
        ByteBudget.FACTORY,
        ConstantTokenScore.FACTORY,
        WindowAttention.FACTORY,
        SnapKv.FACTORY,
        SinksAndRecent.FACTORY,
        KeyNorm.FACTORY,
        TopK.FACTORY,
        NoCalibration.FACTORY,
        AttentionThreshold.FACTORY,
        Schedules.PER_CHUNK,
        Merges.PARALLEL,
        Merges.REREAD);
  }

  @Override
  public List<Preset> presets() {
    return Presets.ALL;
  }
}
