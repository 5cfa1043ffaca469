package org.parallelcomp.core.policies.calibrate;

import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Where abnormally high attention is given up: in some layers, in one zone of the chunk, above a
 * threshold.
 *
 * <p>Its text is {@code layers:zone:threshold}. Layers are given either as numbers counted from 1,
 * both ends included ({@code 9-16}, {@code 3}; those that a model does not have are ignored), or as
 * percentages of the depth ({@code 25%-50%}), which suit a model of any depth: a layer belongs to a
 * range if the middle of the layer lies in it, so adjoining ranges share no layer.
 *
 * @param fromLayer first layer, from 1, or where the range begins in percent of the depth
 * @param toLayer last layer, or where the range ends in percent
 * @param percent whether the two are percentages
 * @param zone which part of the chunk
 * @param threshold the attention probability above which a key is given up
 */
record CalibrationRange(
    double fromLayer, double toLayer, boolean percent, Zone zone, float threshold) {
  /** A part of the chunk. */
  enum Zone {
    /** Its first tokens. */
    SINK,
    /** What is neither sink nor recent. */
    MIDDLE,
    /** Its last tokens. */
    RECENT
  }

  private static final Pattern FORM =
      Pattern.compile(
          "(?<from>\\d+(?:\\.\\d+)?)(?<fromUnit>%?)(?:-(?<to>\\d+(?:\\.\\d+)?)(?<toUnit>%?))?"
              + ":(?<zone>sink|middle|recent):(?<threshold>\\d*\\.?\\d+)");

  /** Returns what is wrong with a text, as the end of a sentence, or null if nothing is. */
  static @Nullable String fault(String text) {
    Matcher form = FORM.matcher(text);
    if (!form.matches()) {
      return "is not of the form layers:zone:threshold, as in 9-16:recent:0.1 or"
          + " 25%-50%:recent:0.1 with a zone of sink, middle, recent";
    }
    CalibrationRange range = of(form);
    boolean single = form.group("to") == null;
    if (single ? range.percent : form.group("fromUnit").equals("%") != range.percent) {
      return "must give both ends of its layers in percent, or none";
    }
    if (!range.percent && (range.fromLayer % 1 != 0 || range.toLayer % 1 != 0)) {
      return "must count whole layers";
    }
    if (range.percent
        ? range.fromLayer >= range.toLayer || range.toLayer > 100
        : range.fromLayer < 1 || range.fromLayer > range.toLayer) {
      return range.percent
          ? "must name a part of the depth from 0% to 100%"
          : "must count its layers from 1, the lower first";
    }
    return range.threshold <= 1 ? null : "must have a threshold from 0 to 1";
  }

  /** Returns the range that a text describes, which has no fault. */
  static CalibrationRange parse(String text) {
    Matcher form = FORM.matcher(text);
    if (!form.matches()) {
      throw new IllegalArgumentException(text);
    }
    return of(form);
  }

  private static CalibrationRange of(Matcher form) {
    String from = form.group("from");
    boolean single = form.group("to") == null;
    return new CalibrationRange(
        Double.parseDouble(from),
        Double.parseDouble(single ? from : form.group("to")),
        form.group(single ? "fromUnit" : "toUnit").equals("%"),
        switch (form.group("zone")) {
          case "sink" -> Zone.SINK;
          case "middle" -> Zone.MIDDLE;
          default -> Zone.RECENT;
        },
        Float.parseFloat(form.group("threshold")));
  }

  /**
   * Returns whether a layer belongs to the range.
   *
   * @param layer the layer, from 0
   */
  boolean contains(int layer, int layers) {
    if (!percent) {
      return fromLayer <= layer + 1 && layer + 1 <= toLayer;
    }
    // Both sides doubled and multiplied by the depth, so that whole percentages compare exactly.
    double middle = 100 * (2.0 * layer + 1);
    return 2 * layers * fromLayer <= middle && middle < 2 * layers * toLayer;
  }
}
