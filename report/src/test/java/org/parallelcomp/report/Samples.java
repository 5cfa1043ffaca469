package org.parallelcomp.report;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.BackendInfo;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PolicySpec;
import org.parallelcomp.api.policy.PrefillMode;
import org.parallelcomp.engine.CacheReport;
import org.parallelcomp.engine.Figures;
import org.parallelcomp.engine.FinishReason;
import org.parallelcomp.engine.GenerationResult;
import org.parallelcomp.engine.ModelInfo;
import org.parallelcomp.engine.PassTrace;
import org.parallelcomp.engine.PassTrace.LayerTrace;
import org.parallelcomp.engine.PromptForm;
import org.parallelcomp.engine.Sampling;
import org.parallelcomp.engine.Trace;
import org.parallelcomp.engine.Trace.ChunkTrace;

/** Reports whose numbers are made up. */
final class Samples {
  private Samples() {}

  /** Returns the set of some numbers. */
  static BitSet set(int... numbers) {
    var set = new BitSet();
    Arrays.stream(numbers).forEach(set::set);
    return set;
  }

  /**
   * A report over a text of tokens of four characters, in chunks of which one is kept: every other
   * token of it, the even layers also without its third token.
   */
  static Report report(
      String text, String question, String answer, int chunkTokens, int keptChunk) {
    int tokens = text.length() / 4;
    int[] from = IntStream.range(0, tokens).map(t -> 4 * t).toArray();
    int[] to = IntStream.range(0, tokens).map(t -> 4 * t + 4).toArray();
    var chunks = new ArrayList<ChunkTrace>();
    for (int begin = 0; begin < tokens; begin += chunkTokens) {
      int index = chunks.size();
      double surprise = index == keptChunk ? 0.2 : 2 + index % 7 / 7.0;
      int end = Math.min(tokens, begin + chunkTokens);
      chunks.add(new ChunkTrace(index, begin, end, -surprise, surprise, index == keptChunk));
    }
    PassTrace chunkPass = pass(chunks.get(keptChunk), true);
    return report(
        text,
        question,
        answer,
        new Trace(chunks, from, to, List.of(chunkPass), pass(chunks.get(keptChunk), false)));
  }

  private static PassTrace pass(ChunkTrace chunk, boolean uncut) {
    int[] textTokens = IntStream.range(chunk.fromToken(), chunk.toToken()).toArray();
    var layers = new ArrayList<LayerTrace>();
    for (int layer = 0; layer < 6; layer++) {
      var kept = new BitSet();
      IntStream.range(0, textTokens.length).filter(t -> t % 2 == 0).forEach(kept::set);
      var calibrated = (BitSet) kept.clone();
      if (layer % 2 == 0) {
        calibrated.clear(2);
      }
      float[] attention = new float[3 + textTokens.length + 5];
      double total = 0;
      for (int i = 0; i < attention.length; i++) {
        int t = i - 3;
        boolean there = uncut || t < 0 || t >= textTokens.length || calibrated.get(t);
        attention[i] = there ? 1f / (1 + i % (layer + 2)) : 0;
        total += attention[i];
      }
      for (int i = 0; i < attention.length; i++) {
        attention[i] /= (float) total;
      }
      layers.add(
          new LayerTrace(
              4,
              new float[][] {attention, attention},
              uncut ? List.of(kept, kept) : List.of(calibrated, calibrated),
              List.of(calibrated, calibrated)));
    }
    return new PassTrace(3, textTokens, 5, layers);
  }

  /** A report on a trace. */
  static Report report(String text, String question, String answer, @Nullable Trace trace) {
    var policies = new EnumMap<PolicyKind, PolicySpec>(PolicyKind.class);
    for (PolicyKind kind : PolicyKind.values()) {
      policies.put(kind, PolicySpec.of("none"));
    }
    policies.put(PolicyKind.CALIBRATION, PolicySpec.parse("attention-threshold(zone=100)"));
    int layers = trace == null || trace.answerPass() == null ? 0 : 6;
    var result =
        new GenerationResult(
            answer,
            List.of(1, 2),
            layers == 0 ? FinishReason.NO_CHUNK_KEPT : FinishReason.STOP_TOKEN,
            List.of(),
            new Figures(
                133_066,
                23,
                140_000,
                2,
                273,
                1,
                817_500_000L,
                1_590_000L,
                400_000_000L,
                7_320_000_000L,
                30_000_000L,
                60_000_000L,
                7_880_000_000L),
            new CacheReport(
                CacheReport.Compression.APPLIED,
                IntStream.range(0, layers)
                    .mapToObj(layer -> new CacheReport.Layer(List.of(256, 256), 266_240))
                    .toList(),
                1_700_000L,
                0),
            new Plan("sample-plan", PrefillMode.PARALLEL, true, policies),
            PromptForm.DEFAULT,
            Sampling.GREEDY,
            "needle-6m",
            "cpu-vector",
            List.of("Mind the <gap>."),
            trace);
    var facts = new LinkedHashMap<String, String>();
    facts.put("command", "parallelcomp explain --text 'a b.txt' x");
    facts.put("Java", "25.0.1");
    return new Report(
        text,
        question,
        result,
        new ModelInfo(
            "needle-6m",
            "GGUF v3",
            "llama",
            5_770_496,
            6_138_112,
            6,
            256,
            8,
            2,
            32,
            768,
            4096,
            2048,
            6144,
            Map.of("Q8_0", 6_131_712L),
            "byte-level BPE",
            "",
            List.of(2),
            PromptForm.DEFAULT),
        new BackendInfo("cpu-vector", "a processor", 2, 1L << 34, 1L << 33, Map.of("isa", "512")),
        facts);
  }
}
