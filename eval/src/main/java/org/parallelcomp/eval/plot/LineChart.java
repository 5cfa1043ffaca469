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
            .xAxisTitle("tokens (K)")
            .yAxisTitle(yTitle)
            .build();
    chart
        .getStyler()
        .setXAxisLogarithmic(true)
        .setYAxisLogarithmic(true)
        .setXAxisDecimalPattern("#,##0.#")
        .setYAxisDecimalPattern("#,##0.#")
        .setLegendPosition(Styler.LegendPosition.OutsideE)
        .setChartBackgroundColor(Color.WHITE)
        .setChartTitleFont(new Font(Font.SANS_SERIF, Font.BOLD, 14));
    chart.getStyler().setLocale(Locale.ROOT);
    new TreeMap<>(lines)
        .forEach(
            (name, figures) -> {
              if (!figures.isEmpty()) {
                List<Double> lengths = figures.keySet().stream().map(t -> t / 1024.0).toList();
                chart.addSeries(name, lengths, List.copyOf(figures.values()));
              }
            });
    return new Picture(chart);
  }
}
