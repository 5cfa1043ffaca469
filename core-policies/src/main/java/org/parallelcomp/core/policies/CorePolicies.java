package org.parallelcomp.core.policies;

import java.util.List;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyProvider;
import org.parallelcomp.api.policy.Preset;
import org.parallelcomp.core.policies.calibrate.AttentionReweight;
import org.parallelcomp.core.policies.calibrate.AttentionThreshold;
import org.parallelcomp.core.policies.calibrate.NoCalibration;
import org.parallelcomp.core.policies.calibrate.ScoreThreshold;
import org.parallelcomp.core.policies.chunk.AllChunks;
import org.parallelcomp.core.policies.chunk.BestChunks;
import org.parallelcomp.core.policies.chunk.ChunksAboveThreshold;
import org.parallelcomp.core.policies.chunk.ChunksNearBest;
import org.parallelcomp.core.policies.chunk.ChunksOfTokens;
import org.parallelcomp.core.policies.chunk.ConstantChunkScore;
import org.parallelcomp.core.policies.chunk.ContrastiveInformation;
import org.parallelcomp.core.policies.chunk.EvenChunks;
import org.parallelcomp.core.policies.chunk.FixedChunks;
import org.parallelcomp.core.policies.chunk.LexicalMatch;
import org.parallelcomp.core.policies.chunk.PackedChunks;
import org.parallelcomp.core.policies.chunk.PositionChunkScore;
import org.parallelcomp.core.policies.chunk.RandomChunkScore;
import org.parallelcomp.core.policies.chunk.SelfInformation;
import org.parallelcomp.core.policies.chunk.WholeText;
import org.parallelcomp.core.policies.score.CapKv;
import org.parallelcomp.core.policies.score.Compactor;
import org.parallelcomp.core.policies.score.ConstantTokenScore;
import org.parallelcomp.core.policies.score.CurLeverage;
import org.parallelcomp.core.policies.score.ExpectedAttention;
import org.parallelcomp.core.policies.score.Finch;
import org.parallelcomp.core.policies.score.HeavyHitters;
import org.parallelcomp.core.policies.score.KeyDiff;
import org.parallelcomp.core.policies.score.KeyNorm;
import org.parallelcomp.core.policies.score.LagKv;
import org.parallelcomp.core.policies.score.LeverageScore;
import org.parallelcomp.core.policies.score.NonCausalAttention;
import org.parallelcomp.core.policies.score.ObservedAttention;
import org.parallelcomp.core.policies.score.RandomTokenScore;
import org.parallelcomp.core.policies.score.ScorerPerLayer;
import org.parallelcomp.core.policies.score.SinksAndRecent;
import org.parallelcomp.core.policies.score.SnapKv;
import org.parallelcomp.core.policies.score.Tova;
import org.parallelcomp.core.policies.score.WindowAttention;
import org.parallelcomp.core.policies.select.AdaKv;
import org.parallelcomp.core.policies.select.BlockWise;
import org.parallelcomp.core.policies.select.ByteBudget;
import org.parallelcomp.core.policies.select.ChunkKv;
import org.parallelcomp.core.policies.select.Composed;
import org.parallelcomp.core.policies.select.CriticalKv;
import org.parallelcomp.core.policies.select.EverythingBudget;
import org.parallelcomp.core.policies.select.FractionBudget;
import org.parallelcomp.core.policies.select.LayerBudget;
import org.parallelcomp.core.policies.select.PerBlock;
import org.parallelcomp.core.policies.select.ProtectedSelector;
import org.parallelcomp.core.policies.select.PyramidBudget;
import org.parallelcomp.core.policies.select.SharedBudget;
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
        FixedChunks.FIXED,
        FixedChunks.OVERLAPPING,
        PackedChunks.SENTENCES,
        PackedChunks.PARAGRAPHS,
        WholeText.FACTORY,
        SelfInformation.FACTORY,
        ContrastiveInformation.FACTORY,
        LexicalMatch.FACTORY,
        PositionChunkScore.FIRST,
        PositionChunkScore.LAST,
        ConstantChunkScore.FACTORY,
        RandomChunkScore.FACTORY,
        BestChunks.FACTORY,
        ChunksOfTokens.FACTORY,
        ChunksNearBest.FACTORY,
        ChunksAboveThreshold.FACTORY,
        AllChunks.FACTORY,
        EverythingBudget.FACTORY,
        TokenBudget.FACTORY,
        FractionBudget.FACTORY,
        ByteBudget.FACTORY,
        SharedBudget.FACTORY,
        PyramidBudget.FACTORY,
        LayerBudget.FACTORY,
        ConstantTokenScore.FACTORY,
        WindowAttention.FACTORY,
        SnapKv.FACTORY,
        SinksAndRecent.FACTORY,
        Tova.FACTORY,
        HeavyHitters.FACTORY,
        ObservedAttention.FACTORY,
        Finch.FACTORY,
        KeyNorm.FACTORY,
        KeyDiff.FACTORY,
        LagKv.FACTORY,
        CurLeverage.FACTORY,
        LeverageScore.FACTORY,
        NonCausalAttention.FACTORY,
        Compactor.FACTORY,
        ExpectedAttention.FACTORY,
        CapKv.FACTORY,
        RandomTokenScore.FACTORY,
        ScorerPerLayer.FACTORY,
        TopK.FACTORY,
        ProtectedSelector.FACTORY,
        AdaKv.FACTORY,
        CriticalKv.FACTORY,
        ChunkKv.FACTORY,
        PerBlock.FACTORY,
        BlockWise.FACTORY,
        Composed.FACTORY,
        NoCalibration.FACTORY,
        AttentionThreshold.FACTORY,
        ScoreThreshold.FACTORY,
        AttentionReweight.FACTORY,
        Schedules.PER_CHUNK,
        Schedules.MERGED,
        Schedules.WHILE_DECODING,
        Merges.PARALLEL,
        Merges.APE,
        Merges.REREAD);
  }

  @Override
  public List<Preset> presets() {
    return Presets.ALL;
  }
}
