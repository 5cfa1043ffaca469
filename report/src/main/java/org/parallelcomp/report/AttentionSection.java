package org.parallelcomp.report;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.parallelcomp.api.policy.PolicySpec;
import org.parallelcomp.engine.PassTrace;
import org.parallelcomp.engine.Trace;
import org.parallelcomp.report.AttentionProfile.Stage;

/** Where attention went, layer by layer, in the words and lengths of the page. */
final class AttentionSection {
  /** The curve's ends: a sixteenth and sixteen times of what were uniform. */
  private static final double CURVE_OCTAVES = 4;

  /** Half of the curve's height. */
  private static final double CURVE_MIDDLE = 16;

  private final Trace trace;
  private final Explanation explanation;
  private final PolicySpec calibration;

  AttentionSection(Trace trace, Explanation explanation, PolicySpec calibration) {
    this.trace = trace;
    this.explanation = explanation;
    this.calibration = calibration;
  }

  /** Returns the section, or nothing if the request ended before attention was seen. */
  List<Page.Attention> section() {
    if (explanation.layers().isEmpty()) {
      return List.of();
    }
    var cards = new ArrayList<Page.Card>();
    for (int layer = 0; layer < explanation.layers().size(); layer++) {
      cards.add(
          new Page.Card(
              layer + 1,
              explanation.layers().get(layer).attention().stream()
                  .map(AttentionSection::profile)
                  .toList()));
    }
    return List.of(new Page.Attention(notes(), cards));
  }

  private List<String> notes() {
    var notes = new ArrayList<String>();
    for (Stage stage : List.of(Stage.READ, Stage.CALIBRATED, Stage.ANSWER)) {
      Map<Bias, Long> counts =
          explanation.layers().stream()
              .flatMap(layer -> layer.attention().stream())
              .filter(profile -> profile.stage() == stage)
              .collect(
                  Collectors.groupingBy(
                      AttentionProfile::bias, TreeMap::new, Collectors.counting()));
      if (!counts.isEmpty()) {
        notes.add(
            capital(stage.label())
                + ": "
                + counts.entrySet().stream()
                    .map(e -> e.getKey().label() + " in " + Numbers.count(e.getValue(), "layer"))
                    .collect(Collectors.joining(", "))
                + ".");
      }
    }
    notes.add(calibration());
    String lastToken = seenByFewer();
    if (!lastToken.isEmpty()) {
      notes.add(lastToken);
    }
    String unobserved = unobservedLayers();
    if (!unobserved.isEmpty()) {
      notes.add(
          "As the answer begins, not observed in layers "
              + unobserved
              + ": there the attention to what was kept is weighed, and no plain softmax.");
    }
    boolean cutAlone =
        IntStream.range(0, explanation.layers().size()).anyMatch(layer -> has(layer, Stage.ANSWER));
    if (trace.chunkPasses().size() > 1 && cutAlone) {
      notes.add(
          "Until the answer begins these are means over the "
              + trace.chunkPasses().size()
              + " kept chunks.");
    }
    return notes;
  }

  private String calibration() {
    String policy = calibration.toString();
    if (policy.equals("none")) {
      return "This plan has no calibration, so there is no attention before and after it.";
    }
    String layers =
        IntStream.range(0, explanation.layers().size())
            .filter(layer -> has(layer, Stage.CALIBRATED))
            .mapToObj(layer -> String.valueOf(layer + 1))
            .collect(Collectors.joining(", "));
    return "The calibration "
        + policy
        + (layers.isEmpty()
            ? " took no key in any layer."
            : " took keys in layers " + layers + ".");
  }

  /** Behind the last layer only the last token passes, from which the answer is drawn. */
  private String seenByFewer() {
    List<AttentionProfile> last = explanation.layers().getLast().attention();
    int most =
        explanation.layers().stream()
            .flatMap(layer -> layer.attention().stream())
            .mapToInt(AttentionProfile::windowTokens)
            .max()
            .orElse(0);
    return last.stream().anyMatch(profile -> profile.windowTokens() < most)
        ? "Looked at are the question's last "
            + most
            + " tokens; as the answer begins, in the last layer its last token alone, since no"
            + " other passes it."
        : "";
  }

  private boolean has(int layer, Stage stage) {
    return explanation.layers().get(layer).attention().stream()
        .anyMatch(profile -> profile.stage() == stage);
  }

  private String unobservedLayers() {
    PassTrace answer = Objects.requireNonNull(trace.answerPass());
    return IntStream.range(0, answer.layers().size())
        .filter(layer -> !answer.layers().get(layer).observed())
        .mapToObj(layer -> String.valueOf(layer + 1))
        .collect(Collectors.joining(", "));
  }

  private static Page.Profile profile(AttentionProfile profile) {
    var segments =
        List.of(
            segment("prefix", "prompt before the text", profile.prefix()),
            segment("sink", "first tokens of the text", profile.sink()),
            segment("middle", "middle", profile.middle()),
            segment("recent", "last tokens of the text", profile.recent()),
            segment("query", "question", profile.query()));
    return new Page.Profile(
        capital(profile.stage().label()),
        profile.bias().label(),
        profile.bias().meaning(),
        segments,
        segments.stream()
            .map(segment -> segment.title().replaceFirst(".*: ", "") + " " + segment.kind())
            .collect(Collectors.joining(" · ")),
        curve(profile.curve()),
        profile.curve().size(),
        "Attention per token, where 1 is uniform: beginning "
            + times(profile.sinkDensity())
            + ", middle "
            + times(profile.middleDensity())
            + ", end "
            + times(profile.recentDensity())
            + ". Seen by the last "
            + Numbers.count(profile.windowTokens(), "token")
            + " of the question.");
  }

  private static Page.Segment segment(String kind, String words, double share) {
    return new Page.Segment(
        kind, Numbers.css(100 * share), capital(words) + ": " + Numbers.percent(share));
  }

  private static String times(double density) {
    return String.format(Locale.ROOT, density < 0.1 ? "%.2f" : "%.1f", density);
  }

  /** An area between the line of uniform attention and the density, in octaves. */
  private static String curve(List<Double> densities) {
    var path = new StringBuilder("M0 " + Numbers.css(CURVE_MIDDLE));
    for (int bin = 0; bin < densities.size(); bin++) {
      double octaves = Math.log(densities.get(bin)) / Math.log(2);
      double bounded = Math.clamp(octaves, -CURVE_OCTAVES, CURVE_OCTAVES);
      double y = CURVE_MIDDLE * (1 - bounded / CURVE_OCTAVES);
      path.append("V").append(Numbers.css(y)).append("H").append(bin + 1);
    }
    return path.append("V").append(Numbers.css(CURVE_MIDDLE)).append("Z").toString();
  }

  private static String capital(String words) {
    return words.substring(0, 1).toUpperCase(Locale.ROOT) + words.substring(1);
  }
}
