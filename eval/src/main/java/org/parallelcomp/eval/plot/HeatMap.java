package org.parallelcomp.eval.plot;

import java.awt.Color;
import java.awt.Font;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.knowm.xchart.HeatMapChart;
import org.knowm.xchart.HeatMapChartBuilder;
import org.knowm.xchart.style.Styler;

/** Scores from 0 to 1 as colours, red over yellow to green, each with its number. */
public final class HeatMap {
  private static final int CELL_WIDTH = 90;
  private static final int CELL_HEIGHT = 44;
  private static final Color[] COLOURS = {
    new Color(0xd73027), new Color(0xfee08b), new Color(0x1a9850)
  };

  private HeatMap() {}

  /**
   * Returns the picture.
   *
   * @param title above it
   * @param columnTitle what the columns are
   * @param columns names from left to right
   * @param rowTitle what the rows are
   * @param rows names from top to bottom
   * @param scores {@code [row][column]} from 0 to 1, or null for a cell without a score
   */
  public static Picture of(
      String title,
      String columnTitle,
      List<String> columns,
      String rowTitle,
      List<String> rows,
      List<List<@Nullable Double>> scores) {
    HeatMapChart chart =
        new HeatMapChartBuilder()
            .width(260 + CELL_WIDTH * columns.size())
            .height(130 + CELL_HEIGHT * rows.size())
            .title(title)
            .xAxisTitle(columnTitle)
            .yAxisTitle(rowTitle)
            .build();
    chart
        .getStyler()
        .setRangeColors(COLOURS)
        .setMin(0)
        .setMax(1)
        .setShowValue(true)
        .setHeatMapValueDecimalPattern("0.00")
        .setPlotContentSize(1)
        .setLegendPosition(Styler.LegendPosition.OutsideE)
        .setChartBackgroundColor(Color.WHITE)
        .setChartTitleFont(new Font(Font.SANS_SERIF, Font.BOLD, 14));
    chart.getStyler().setLocale(Locale.ROOT);
    // The chart counts rows from below.
    List<Number[]> cells = new ArrayList<>();
    for (int column = 0; column < columns.size(); column++) {
      for (int row = 0; row < rows.size(); row++) {
        Double score = scores.get(row).get(column);
        if (score != null) {
          cells.add(new Number[] {column, rows.size() - 1 - row, score});
        }
      }
    }
    chart.addSeries("score", columns, rows.reversed(), cells);
    return new Picture(chart);
  }
}
