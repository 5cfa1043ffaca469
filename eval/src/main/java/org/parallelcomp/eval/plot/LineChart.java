package org.parallelcomp.eval.plot;

import java.awt.Color;
import java.awt.Font;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.style.Styler;

/** Figures over length, a line for each method, both axes logarithmic. */
public final class LineChart {
  private LineChart() {}

  /**
   * Returns the picture.
   *
   * @param title above it
   * @param yTitle what the figures are
   * @param lines figure by length in tokens, by the method's name; figures above 0
   */
  public static Picture of(
      String title, String yTitle, Map<String, SortedMap<Integer, Double>> lines) {
    XYChart chart =
        new XYChartBuilder()
            .width(860)
            .height(460)
            .title(title)
            .xAxisTitle("tokens")
            .yAxisTitle(yTitle)
            .build();
    chart
        .getStyler()
        .setLegendPosition(Styler.LegendPosition.OutsideE)
        .setChartBackgroundColor(Color.WHITE)
        .setChartTitleFont(new Font(Font.SANS_SERIF, Font.BOLD, 14));
    chart.getStyler().setLocale(Locale.ROOT);
    // The library's logarithmic axes name powers of ten only, which is too few for either.
    chart.setCustomXAxisTickLabelsFormatter(LineChart::lengthLabel);
    chart.setCustomYAxisTickLabelsFormatter(
        logarithm -> String.format(Locale.ROOT, "%,.0f", Math.pow(10, logarithm)));
    new TreeMap<>(lines)
        .forEach(
            (name, figures) -> {
              if (!figures.isEmpty()) {
                List<Double> lengths = figures.keySet().stream().map(LineChart::log2).toList();
                chart.addSeries(name, lengths, figures.values().stream().map(Math::log10).toList());
              }
            });
    return new Picture(chart);
  }

  private static double log2(int tokens) {
    return Math.log(tokens / 1024.0) / Math.log(2);
  }

  /** Whole powers of two are named, what lies between is not. */
  private static String lengthLabel(double logarithm) {
    double tokens = 1024 * Math.pow(2, logarithm);
    if (Math.abs(logarithm - Math.rint(logarithm)) > 1e-6) {
      return "";
    }
    return tokens >= 1024 ? Math.round(tokens / 1024) + "K" : Long.toString(Math.round(tokens));
  }
}
