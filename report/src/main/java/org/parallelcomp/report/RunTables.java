package org.parallelcomp.report;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.engine.CacheReport;
import org.parallelcomp.engine.Figures;
import org.parallelcomp.engine.GenerationResult;
import org.parallelcomp.engine.Sampling;
import org.parallelcomp.report.Page.Fact;

/** What repeats a run, as tables of the page. */
final class RunTables {
  private final Report report;
  private final GenerationResult result;
  private final Figures figures;

  RunTables(Report report) {
    this.report = report;
    this.result = report.result();
    this.figures = result.figures();
  }

  List<Page.Table> tables() {
    return List.of(plan(), run(), model(), backend(), facts());
  }

  private Page.Table plan() {
    Plan plan = result.plan();
    var rows = new ArrayList<Fact>();
    rows.add(new Fact("preset", plan.name()));
    rows.add(new Fact("prefill", plan.prefill().name().toLowerCase(Locale.ROOT)));
    rows.add(new Fact("bound to the window", plan.bindToWindow() ? "yes" : "no"));
    plan.policies().forEach((kind, spec) -> rows.add(new Fact(kind.label(), spec.toString())));
    return new Page.Table("Plan", rows);
  }

  private Page.Table run() {
    var rows = new ArrayList<Fact>();
    rows.add(new Fact("instruction", orNone(result.form().instruction())));
    rows.add(new Fact("question form", result.form().questionForm().strip()));
    rows.add(new Fact("answer lead", orNone(result.form().answerLead())));
    rows.add(new Fact("sampling", sampling(result.sampling())));
    rows.add(new Fact("text", Numbers.count(figures.textTokens(), "token")));
    rows.add(new Fact("prompt around it", Numbers.count(figures.promptTokens(), "token")));
    rows.add(new Fact("prefilled", Numbers.count(figures.prefilledTokens(), "token")));
    rows.add(new Fact("answer", Numbers.count(figures.answerTokens(), "token")));
    rows.add(new Fact("compression", compression(result.cache())));
    return new Page.Table("Request", rows);
  }

  private static String orNone(String words) {
    return words.isEmpty() ? "none" : words;
  }

  private static String compression(CacheReport cache) {
    return cache.compression().name().toLowerCase(Locale.ROOT).replace('_', ' ');
  }

  private Page.Table model() {
    var model = report.model();
    var rows = new ArrayList<Fact>();
    rows.add(new Fact("name", model.name()));
    rows.add(new Fact("architecture", model.architecture() + ", " + model.format()));
    rows.add(new Fact("parameters", Numbers.count(model.parameters())));
    rows.add(new Fact("weights", Numbers.bytes(model.weightBytes())));
    rows.add(
        new Fact(
            "shape",
            model.layers()
                + " layers, "
                + model.queryHeads()
                + " query heads, "
                + model.kvHeads()
                + " kv heads of "
                + model.headDim()));
    rows.add(new Fact("trained window", Numbers.count(model.trainedWindow(), "token")));
    rows.add(new Fact("tokenizer", model.tokenizer()));
    return new Page.Table("Model", rows);
  }

  private Page.Table backend() {
    var rows = new ArrayList<Fact>();
    rows.add(new Fact("id", report.backend().id()));
    rows.add(new Fact("device", report.backend().device()));
    rows.add(new Fact("threads", Numbers.count(report.backend().threads())));
    report.backend().facts().forEach((name, value) -> rows.add(new Fact(name, value)));
    return new Page.Table("Backend", rows);
  }

  private Page.Table facts() {
    var rows = new ArrayList<Fact>();
    report.facts().forEach((name, value) -> rows.add(new Fact(name, value)));
    return new Page.Table("To repeat it", rows);
  }

  /** How tokens were drawn, the steps that do nothing left out. */
  static String sampling(Sampling sampling) {
    var words = new ArrayList<String>();
    if (sampling.temperature() == 0) {
      words.add("the most likely token");
    } else {
      words.add("temperature " + sampling.temperature());
      if (sampling.topK() > 0) {
        words.add("top-k " + sampling.topK());
      }
      if (sampling.topP() < 1) {
        words.add("top-p " + sampling.topP());
      }
      if (sampling.minP() > 0) {
        words.add("min-p " + sampling.minP());
      }
      words.add("seed " + sampling.seed());
    }
    if (sampling.repetitionPenalty() != 1) {
      words.add("repetition penalty " + sampling.repetitionPenalty());
    }
    return String.join(", ", words);
  }
}
