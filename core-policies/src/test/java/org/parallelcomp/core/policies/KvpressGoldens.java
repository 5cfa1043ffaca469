package org.parallelcomp.core.policies;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.conformance.reference.ReferenceBackend;

/** What NVIDIA's kvpress itself scores and keeps: the numbers in the folder {@code kvpress}. */
public final class KvpressGoldens {
  /** One array of a safetensors file. */
  public record Array(int[] shape, double[] numbers) {
    /** Returns its rows along the innermost axis. */
    public double[][] rows() {
      int columns = shape[shape.length - 1];
      double[][] rows = new double[numbers.length / columns][];
      Arrays.setAll(rows, r -> Arrays.copyOfRange(numbers, r * columns, (r + 1) * columns));
      return rows;
    }

    /** Returns its matrices along the two innermost axes of three. */
    public double[][][] matrices() {
      double[][] rows = rows();
      double[][][] matrices = new double[shape[0]][][];
      Arrays.setAll(matrices, m -> Arrays.copyOfRange(rows, m * shape[1], (m + 1) * shape[1]));
      return matrices;
    }

    /** Returns its rows as whole numbers. */
    public int[][] positions() {
      return Arrays.stream(rows())
          .map(row -> Arrays.stream(row).mapToInt(x -> (int) x).toArray())
          .toArray(int[][]::new);
    }
  }

  /**
   * One line of the index.
   *
   * @param ratio the compression ratio as kvpress has it, or an empty string
   * @param gap difference of the scores on both sides of the cut, NaN where there is none
   * @param comparable whether the kept set does not depend on rounding or ties
   * @param fault whether kvpress is at fault, so that its formula is compared instead
   * @param noise of kvpress' single-precision scores, NaN where there are none
   * @param threshold of DMS, or NaN
   */
  public record Entry(
      String file,
      String id,
      String ratio,
      double gap,
      boolean comparable,
      boolean fault,
      double noise,
      double threshold) {
    /** Returns the number behind a letter in the id, as 16 for "w" in "snapkv.w16.k5". */
    public int number(String letters) {
      Matcher number = Pattern.compile("\\." + letters + "(\\d+)(\\.|$)").matcher(id);
      if (!number.find()) {
        throw new IllegalArgumentException(id + " has no " + letters);
      }
      return Integer.parseInt(number.group(1));
    }

    /** Returns the end of the names of tensors that belong to its ratio. */
    public String tag() {
      return "r" + Math.round(100 * Double.parseDouble(ratio));
    }
  }

  private static final Pattern TENSOR =
      Pattern.compile(
          "\"([^\"]+)\":\\{\"dtype\":\"(\\w+)\",\"shape\":\\[([\\d,]*)\\],"
              + "\"data_offsets\":\\[(\\d+),(\\d+)\\]\\}");

  private KvpressGoldens() {}

  /** Returns the index. */
  public static List<Entry> entries() {
    return new String(resource("goldens.tsv"), StandardCharsets.UTF_8)
        .lines()
        .filter(line -> !line.startsWith("#"))
        .map(line -> line.split("\t", -1))
        .map(
            c ->
                new Entry(
                    c[0],
                    c[1],
                    c[2],
                    number(c[4]),
                    c[5].equals("1"),
                    c[6].equals("1"),
                    number(c[7]),
                    number(c[8])))
        .toList();
  }

  private static double number(String text) {
    return text.isEmpty() ? Double.NaN : Double.parseDouble(text);
  }

  /** Reads a safetensors file: length and text of a JSON header, then the numbers. */
  public static Map<String, Array> file(String name) {
    byte[] bytes = resource(name + ".safetensors");
    ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    int headerBytes = Math.toIntExact(buffer.getLong(0));
    Matcher tensor = TENSOR.matcher(new String(bytes, 8, headerBytes, StandardCharsets.UTF_8));
    var arrays = new TreeMap<String, Array>();
    while (tensor.find()) {
      int[] shape = Arrays.stream(tensor.group(3).split(",")).mapToInt(Integer::parseInt).toArray();
      int from = 8 + headerBytes + Integer.parseInt(tensor.group(4));
      int elements = Arrays.stream(shape).reduce(1, (a, b) -> a * b);
      double[] numbers = new double[elements];
      for (int i = 0; i < elements; i++) {
        numbers[i] =
            switch (tensor.group(2)) {
              case "F32" -> buffer.getFloat(from + 4 * i);
              case "I16" -> buffer.getShort(from + 2 * i);
              case "U8" -> Byte.toUnsignedInt(buffer.get(from + i));
              default -> throw new IllegalArgumentException(tensor.group(2));
            };
      }
      arrays.put(tensor.group(1), new Array(shape, numbers));
    }
    return arrays;
  }

  private static byte[] resource(String name) {
    try (InputStream in = KvpressGoldens.class.getResourceAsStream("kvpress/" + name)) {
      return in.readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Returns the pass that kvpress saw.
   *
   * @param queryTokens how many of its last tokens stand behind the context
   */
  public static PlainPass pass(
      ReferenceBackend backend, MemoryScope scope, Map<String, Array> file, int queryTokens) {
    double[][][] queries = file.get("queries_rope").matrices();
    double[][][] keys = file.get("keys_rope").matrices();
    int dims = keys[0][0].length;
    double[][] hidden = file.get("hidden_states").rows();
    double[][] output = file.get("o_proj.weight").rows();
    double[][][] perHead = new double[queries.length][dims][output.length];
    for (int g = 0; g < queries.length; g++) {
      for (int d = 0; d < dims; d++) {
        for (int o = 0; o < output.length; o++) {
          perHead[g][d][o] = output[o][g * dims + d];
        }
      }
    }
    return new PlainPass(
        backend,
        scope,
        0,
        4,
        0,
        queries[0].length - queryTokens,
        queries[0].length / 2,
        file.get("rope.inv_freq").numbers(),
        projected(hidden, file.get("q_proj.weight").rows(), dims),
        projected(hidden, file.get("k_proj.weight").rows(), dims),
        queries,
        keys,
        file.get("values").matrices(),
        perHead);
  }

  private static double[][][] projected(double[][] hidden, double[][] weight, int dims) {
    double[][][] heads = new double[weight.length / dims][hidden.length][dims];
    for (int g = 0; g < heads.length; g++) {
      for (int t = 0; t < hidden.length; t++) {
        for (int d = 0; d < dims; d++) {
          heads[g][t][d] = PlainPass.dot(hidden[t], weight[g * dims + d]);
        }
      }
    }
    return heads;
  }
}
