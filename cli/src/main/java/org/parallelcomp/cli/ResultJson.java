package org.parallelcomp.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.engine.CacheReport;
import org.parallelcomp.engine.Citation;
import org.parallelcomp.engine.Figures;
import org.parallelcomp.engine.GenerationResult;
import org.parallelcomp.engine.PromptForm;
import org.parallelcomp.engine.Sampling;
import org.parallelcomp.engine.Trace;
import org.parallelcomp.report.AttentionProfile;
import org.parallelcomp.report.Explanation;

/** A result as one JSON object. The names are part of the command's contract. */
final class ResultJson {
  private ResultJson() {}

  static ObjectNode of(GenerationResult result) {
    ObjectNode root = Json.object();
    root.put("answer", result.answer());
    root.put("finishReason", Json.word(result.finishReason()));
    root.put("model", result.model());
    root.put("backend", result.backend());
    ArrayNode passages = root.putArray("passages");
    result.citations().forEach(citation -> put(passages.addObject(), citation));
    put(root.putObject("figures"), result.figures());
    put(root.putObject("cache"), result.cache());
    put(root.putObject("plan"), result.plan());
    put(root.putObject("form"), result.form());
    put(root.putObject("sampling"), result.sampling());
    ArrayNode tokens = root.putArray("tokenIds");
    result.tokenIds().forEach(id -> tokens.add((int) id));
    ArrayNode warnings = root.putArray("warnings");
    result.warnings().forEach(warnings::add);
    if (result.trace() != null) {
      put(root.putObject("trace"), result.trace());
    }
    return root;
  }

  private static void put(ObjectNode node, Trace trace) {
    ArrayNode chunks = node.putArray("chunks");
    for (Trace.ChunkTrace chunk : trace.chunks()) {
      ObjectNode of = chunks.addObject();
      of.put("chunk", chunk.chunk());
      of.put("fromChar", trace.fromChar()[chunk.fromToken()]);
      of.put("toChar", trace.toChar()[chunk.toToken() - 1]);
      of.put("tokens", chunk.toToken() - chunk.fromToken());
      Json.put(of, "score", chunk.score());
      Json.put(of, "selfInformation", chunk.selfInformation());
      of.put("kept", chunk.kept());
    }
    Explanation explanation = Explanation.of(trace);
    node.put("contextTokens", explanation.contextTokens());
    ArrayNode layers = node.putArray("layers");
    for (Explanation.Layer layer : explanation.layers()) {
      ObjectNode of = layers.addObject();
      ArrayNode kept = of.putArray("keptTokens");
      layer.keptTokens().forEach(tokens -> kept.add((int) tokens));
      ArrayNode attention = of.putArray("attention");
      layer.attention().forEach(profile -> put(attention.addObject(), profile));
    }
  }

  private static void put(ObjectNode node, AttentionProfile profile) {
    node.put("stage", Json.word(profile.stage()));
    node.put("bias", Json.word(profile.bias()));
    node.put("windowTokens", profile.windowTokens());
    node.put("prefix", profile.prefix());
    node.put("sink", profile.sink());
    node.put("middle", profile.middle());
    node.put("recent", profile.recent());
    node.put("query", profile.query());
    node.put("sinkDensity", profile.sinkDensity());
    node.put("middleDensity", profile.middleDensity());
    node.put("recentDensity", profile.recentDensity());
  }

  private static void put(ObjectNode node, Citation citation) {
    node.put("chunk", citation.chunk());
    node.put("fromChar", citation.fromChar());
    node.put("toChar", citation.toChar());
    node.put("tokens", citation.tokens());
    Json.put(node, "selfInformation", citation.selfInformation());
    ArrayNode kept = node.putArray("keptTokensPerLayer");
    citation.keptTokensPerLayer().forEach(kept::add);
    node.put("text", citation.text());
  }

  private static void put(ObjectNode node, Figures figures) {
    node.put("textTokens", figures.textTokens());
    node.put("promptTokens", figures.promptTokens());
    node.put("prefilledTokens", figures.prefilledTokens());
    node.put("answerTokens", figures.answerTokens());
    node.put("chunks", figures.chunks());
    node.put("keptChunks", figures.keptChunks());
    node.put("fullCacheBytes", figures.fullCacheBytes());
    node.put("keptCacheBytes", figures.keptCacheBytes());
    node.put("readSeconds", figures.readNanos() / 1e9);
    node.put("prefillSeconds", figures.prefillNanos() / 1e9);
    node.put("mergeSeconds", figures.mergeNanos() / 1e9);
    node.put("decodeSeconds", figures.decodeNanos() / 1e9);
    node.put("firstTokenSeconds", figures.firstTokenNanos() / 1e9);
    node.put("prefillTokensPerSecond", figures.prefillTokensPerSecond());
    node.put("decodeTokensPerSecond", figures.decodeTokensPerSecond());
  }

  private static void put(ObjectNode node, CacheReport cache) {
    node.put("compression", Json.word(cache.compression()));
    ArrayNode layers = node.putArray("layers");
    for (CacheReport.Layer layer : cache.layers()) {
      ObjectNode of = layers.addObject();
      ArrayNode kept = of.putArray("keptTokens");
      layer.keptTokens().forEach(tokens -> kept.add((int) tokens));
      of.put("keptBytes", layer.keptBytes());
    }
    node.put("finalBytes", cache.finalBytes());
    node.put("decodingCuts", cache.decodingCuts());
  }

  static void put(ObjectNode node, Plan plan) {
    node.put("name", plan.name());
    node.put("prefill", Json.word(plan.prefill()));
    node.put("bindToWindow", plan.bindToWindow());
    ObjectNode policies = node.putObject("policies");
    plan.policies().forEach((kind, spec) -> policies.put(kind.label(), spec.toString()));
  }

  static void put(ObjectNode node, PromptForm form) {
    node.put("instruction", form.instruction());
    node.put("questionForm", form.questionForm());
    node.put("answerLead", form.answerLead());
  }

  private static void put(ObjectNode node, Sampling sampling) {
    node.put("repetitionPenalty", sampling.repetitionPenalty());
    node.put("temperature", sampling.temperature());
    node.put("topK", sampling.topK());
    node.put("topP", sampling.topP());
    node.put("minP", sampling.minP());
    node.put("seed", sampling.seed());
  }
}
