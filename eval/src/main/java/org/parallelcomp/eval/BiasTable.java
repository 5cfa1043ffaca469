package org.parallelcomp.eval;

import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.stream.Stream;
import org.parallelcomp.report.AttentionProfile.Stage;
import org.parallelcomp.report.Bias;

/**
 * Attention by layer and stage, on average over the cases of a method, as a Markdown table. A field
 * holds the masses of prompt prefix, first 100 tokens, middle and last 100 tokens, and the bias of
 * their densities; what is missing to 1 lies on the question.
 */
final class BiasTable {
  private BiasTable() {}

  static String of(EvalResult result) {
    List<Stage> stages =
        attention(result.cases()).map(LayerAttention::stage).distinct().sorted().toList();
    int layers = attention(result.cases()).mapToInt(one -> one.layer() + 1).max().orElse(0);
    StringBuilder text = new StringBuilder("| method | layer |");
    stages.forEach(stage -> text.append(" ").append(stage.label()).append(" |"));
    text.append("\n|").append(" --- |".repeat(stages.size() + 2)).append("\n");
    for (String method : result.spec().methods()) {
      List<CaseResult> cases =
          result.cases().stream().filter(one -> one.method().equals(method)).toList();
      for (int layer = 0; layer < layers; layer++) {
        text.append("| `").append(method).append("` | ").append(layer + 1).append(" |");
        for (Stage stage : stages) {
          text.append(" ").append(field(cases, layer, stage)).append(" |");
        }
        text.append("\n");
      }
    }
    return text.toString();
  }

  private static Stream<LayerAttention> attention(List<CaseResult> cases) {
    return cases.stream()
        .flatMap(
            one -> Objects.requireNonNullElse(one.attention(), List.<LayerAttention>of()).stream());
  }

  private static String field(List<CaseResult> cases, int layer, Stage stage) {
    List<LayerAttention> some =
        attention(cases).filter(one -> one.layer() == layer && one.stage() == stage).toList();
    if (some.isEmpty()) {
      return "";
    }
    LayerAttention mean = LayerAttention.mean(some);
    return String.format(
        Locale.ROOT,
        "%.2f %.2f %.2f %.2f %s",
        mean.prefix(),
        mean.sink(),
        mean.middle(),
        mean.recent(),
        Bias.of(mean.sinkDensity(), mean.middleDensity(), mean.recentDensity()).label());
  }
}
