package org.parallelcomp.eval.plot;

import java.io.IOException;
import java.nio.file.Path;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.VectorGraphicsEncoder;
import org.knowm.xchart.internal.chartpart.Chart;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;

/** A chart that can be written to files. */
public final class Picture {
  private final Chart<?, ?> chart;

  Picture(Chart<?, ?> chart) {
    this.chart = chart;
  }

  /**
   * Writes a PNG and an SVG.
   *
   * @param folder that exists
   * @param name of the files, without the ending
   * @throws InferenceException FILE_NOT_READABLE if they cannot be written
   */
  public void write(Path folder, String name) {
    try {
      String base = folder.resolve(name).toString();
      BitmapEncoder.saveBitmap(chart, base + ".png", BitmapEncoder.BitmapFormat.PNG);
      VectorGraphicsEncoder.saveVectorGraphic(
          chart, base + ".svg", VectorGraphicsEncoder.VectorGraphicsFormat.SVG);
    } catch (IOException e) {
      throw new InferenceException(
          ErrorCode.FILE_NOT_READABLE,
          "The picture '" + name + "' cannot be written: " + e.getMessage() + ".",
          e);
    }
  }
}
