package org.parallelcomp.core.policies;

import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PolicySpec;
import org.parallelcomp.api.policy.PrefillMode;
import org.parallelcomp.api.policy.Preset;

/**
 * The presets. Each names a policy for every seam and every number that matters, also where it
 * equals the policy's default, so that a preset reads without the policies beside it.
 */
final class Presets {
  /** The scores of SnapKV (arXiv 2404.14469), on which several methods build. */
  private static final String SNAPKV = "snapkv(pool=5, pooling=average, window=32)";

  /**
   * The default: the chunk that explains the question best, cut down to what the question looks at.
   */
  private static final Preset PARALLELCOMP =
      preset(
          "The default: one chunk of 512 tokens, of which 256 stay; for what stands in one place.",
          "parallelcomp",
          PrefillMode.PARALLEL,
          true,
          Map.of(
              PolicyKind.CHUNKING, "even(tokens=512)",
              PolicyKind.CHUNK_SCORER, "self-information",
              PolicyKind.CHUNK_EVICTION, "best(chunks=1)",
              PolicyKind.BUDGET, "tokens(keep=256)",
              PolicyKind.TOKEN_SCORER, "window-attention(pool=21, pooling=max, window=8)",
              PolicyKind.SELECTOR, "top-k",
              PolicyKind.CALIBRATION, "none",
              PolicyKind.SCHEDULE, "per-chunk",
              PolicyKind.MERGE, "parallel"));

  /** Small chunks, several of them, read again as one text: for what stands in several places. */
  private static final Preset REREAD =
      preset(
          "Four small chunks, read once more as one text; for what stands in several places.",
          "parallelcomp-reread",
          PrefillMode.PARALLEL,
          true,
          Map.of(
              PolicyKind.CHUNKING, "even(tokens=240)",
              PolicyKind.CHUNK_SCORER, "self-information",
              PolicyKind.CHUNK_EVICTION, "best(chunks=4)",
              PolicyKind.BUDGET, "everything",
              PolicyKind.TOKEN_SCORER, "none",
              PolicyKind.SELECTOR, "top-k",
              PolicyKind.CALIBRATION, "none",
              PolicyKind.SCHEDULE, "per-chunk",
              PolicyKind.MERGE, "reread"));

  /** As many small chunks as their scores say, read again as one text: for any question. */
  private static final Preset ADAPTIVE =
      preset(
          "One small chunk or up to four, as their scores are apart or close, read once more.",
          "parallelcomp-adaptive",
          PrefillMode.PARALLEL,
          true,
          with(REREAD, PolicyKind.CHUNK_EVICTION, "gap(gap=0.3, most=4)"));

  /**
   * The published numbers (arXiv 2502.14317, appendix C): chunks as long as the window allows, cut
   * without regard to sentences; three of them; the last 8 queries; the released code's pool of 7.
   * A chunk's cache is compressed to 2000 tokens with a window of 4096 and to 4000 with 8192: about
   * half, as table 7 puts it, and stated here as a fraction so that it holds for any window.
   */
  private static final Preset PAPER =
      preset(
          "The published numbers: three chunks as long as the window allows, half of each kept.",
          "parallelcomp-paper",
          PrefillMode.PARALLEL,
          true,
          Map.of(
              PolicyKind.CHUNKING, "even(slack=0, tokens=0)",
              PolicyKind.CHUNK_SCORER, "self-information",
              PolicyKind.CHUNK_EVICTION, "best(chunks=3)",
              PolicyKind.BUDGET, "fraction(keep=0.5)",
              PolicyKind.TOKEN_SCORER, "window-attention(pool=7, pooling=max, window=8)",
              PolicyKind.SELECTOR, "top-k",
              PolicyKind.CALIBRATION, "none",
              PolicyKind.SCHEDULE, "per-chunk",
              PolicyKind.MERGE, "parallel"));

  /**
   * The published mix of calibrations (arXiv 2502.14317, tables 6 and 8): middle keys in layers 1
   * to 8 of 32, recent ones in 9 to 16, sinks in 25 to 32, as quarters of the depth.
   */
  private static final Preset CALIBRATED =
      preset(
          "As parallelcomp-paper, without the keys that draw abnormally high attention.",
          "parallelcomp-calibrated",
          PrefillMode.PARALLEL,
          true,
          with(
              PAPER,
              PolicyKind.CALIBRATION,
              "attention-threshold(ranges=0%-25%:middle:0.1;25%-50%:recent:0.1;75%-100%:sink:0.1)"));

  /** Plain attention over the whole text, past the trained window if need be. */
  private static final Preset FULL =
      preset(
          "Plain attention over the whole text; past the trained window models break down.",
          "full",
          PrefillMode.PARALLEL,
          false,
          Map.of(
              PolicyKind.CHUNKING, "whole",
              PolicyKind.CHUNK_SCORER, "none",
              PolicyKind.CHUNK_EVICTION, "all",
              PolicyKind.BUDGET, "everything",
              PolicyKind.TOKEN_SCORER, "none",
              PolicyKind.SELECTOR, "top-k",
              PolicyKind.CALIBRATION, "none",
              PolicyKind.SCHEDULE, "per-chunk",
              PolicyKind.MERGE, "parallel"));

  /**
   * The methods of the field with their published numbers: plain attention over the whole text, of
   * which 1024 tokens stay then.
   */
  private static final List<Preset> PUBLISHED =
      List.of(
          keeping1024("snapkv", "SnapKV", SNAPKV, "top-k"),
          pyramid("pyramidkv", "PyramidKV", SNAPKV),
          keeping1024(
              "adakv", "Ada-KV, more in some heads than in others,", SNAPKV, "ada-kv(floor=0.2)"),
          keeping1024("criticalkv", "CriticalKV", SNAPKV, "critical-kv(by-score=0.5)"),
          keeping1024("chunkkv", "ChunkKV, in runs of 20,", SNAPKV, "chunk-kv(run=20)"),
          keeping1024("tova", "TOVA", "tova", "top-k"),
          keeping1024("h2o", "H2O, half of them the most recent,", "h2o(recent=0.5)", "top-k"),
          keeping1024("finch", "FINCH", "finch", "top-k"),
          keeping1024(
              "expected-attention",
              "Expected Attention, which needs no question,",
              "expected-attention(positions=512, sinks=4)",
              "top-k"),
          keeping1024(
              "compactor",
              "Compactor, which needs no question,",
              "compactor(blending=0.5, sinks=8, recent=4)",
              "top-k"),
          keeping1024("keydiff", "KeyDiff, which needs no question,", "key-diff", "top-k"),
          keeping1024(
              "lagkv", "LagKV, which needs no question,", "lag-kv(lag=128, sinks=4)", "top-k"));

  /**
   * A rolling cache of sinks and recent tokens (arXiv 2309.17453). Here the budget is that of the
   * whole rolling cache, cut after each chunk, not of each chunk: 1536 cached tokens, a chunk of
   * 256, and up to 256 more of prefix, question and answer fit a window of 2048.
   */
  private static final Preset STREAMING_LLM =
      preset(
          "The first tokens and the last 1500 or so, in a cache that rolls over the text.",
          "streaming-llm",
          PrefillMode.SEQUENTIAL,
          true,
          Map.of(
              PolicyKind.CHUNKING, "even(slack=0, tokens=256)",
              PolicyKind.CHUNK_SCORER, "none",
              PolicyKind.CHUNK_EVICTION, "all",
              PolicyKind.BUDGET, "tokens(keep=1536)",
              PolicyKind.TOKEN_SCORER, "streaming-llm(sinks=4)",
              PolicyKind.SELECTOR, "top-k",
              PolicyKind.CALIBRATION, "none",
              PolicyKind.SCHEDULE, "per-chunk",
              PolicyKind.MERGE, "parallel"));

  /** All of them, in the order in which they should be listed. */
  static final List<Preset> ALL =
      Stream.of(
              List.of(PARALLELCOMP, ADAPTIVE, REREAD, PAPER, CALIBRATED, FULL),
              PUBLISHED,
              List.of(STREAMING_LLM))
          .flatMap(List::stream)
          .toList();

  private Presets() {}

  private static Preset keeping1024(String name, String method, String scorer, String selector) {
    return published(name, method, "tokens(keep=1024)", scorer, selector);
  }

  private static Preset pyramid(String name, String method, String scorer) {
    return published(
        name,
        method + ", more in early layers than in late ones,",
        "pyramid(beta=20, budget=tokens(keep=1024))",
        scorer,
        "top-k");
  }

  private static Preset published(
      String name, String method, String budget, String scorer, String selector) {
    return preset(
        "Plain attention over the whole text, then " + method + " keeps 1024 tokens of it.",
        name,
        PrefillMode.PARALLEL,
        false,
        with(
            with(with(FULL, PolicyKind.BUDGET, budget), PolicyKind.TOKEN_SCORER, scorer),
            PolicyKind.SELECTOR,
            selector));
  }

  private static Preset preset(
      String summary,
      String name,
      PrefillMode prefill,
      boolean bindToWindow,
      Map<PolicyKind, String> policies) {
    var specs = new EnumMap<PolicyKind, PolicySpec>(PolicyKind.class);
    policies.forEach((kind, text) -> specs.put(kind, PolicySpec.parse(text)));
    return new Preset(summary, new Plan(name, prefill, bindToWindow, specs));
  }

  private static Map<PolicyKind, String> with(Preset preset, PolicyKind kind, String policy) {
    return with(texts(preset), kind, policy);
  }

  private static Map<PolicyKind, String> with(
      Map<PolicyKind, String> policies, PolicyKind kind, String policy) {
    var changed = new EnumMap<>(policies);
    changed.put(kind, policy);
    return changed;
  }

  private static Map<PolicyKind, String> texts(Preset preset) {
    var texts = new EnumMap<PolicyKind, String>(PolicyKind.class);
    preset.plan().policies().forEach((kind, spec) -> texts.put(kind, spec.toString()));
    return texts;
  }
}
