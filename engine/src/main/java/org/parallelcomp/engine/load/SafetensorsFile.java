package org.parallelcomp.engine.load;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.FileRegion;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;

/**
 * The header of a safetensors file.
 *
 * <pre>
 * header length  u64, little endian
 * header         JSON: {"name": {"dtype": "F16", "shape": [..], "data_offsets": [from, to]}, ..};
 *                the name __metadata__ holds strings and is passed over
 * data           offsets count from its first byte; tensors do not overlap
 * </pre>
 *
 * Source: the format's description in the Hugging Face safetensors project.
 *
 * @param path the file
 * @param tensors places by name
 */
record SafetensorsFile(Path path, Map<String, WeightEntry> tensors) {
  /** The limit that the format's own reader sets to its header. */
  private static final int MAX_HEADER_BYTES = 100_000_000;

  private static final int MAX_RANK = 8;

  /**
   * Reads the header.
   *
   * @throws InferenceException CORRUPT_FILE with the offset and what was expected;
   *     UNSUPPORTED_MODEL for an element type other than F32, F16 and BF16
   */
  static SafetensorsFile read(Path path) {
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      var cursor = new FileCursor(path, channel);
      int headerBytes = cursor.count(1, "the length of the header");
      if (headerBytes < 2 || headerBytes > MAX_HEADER_BYTES) {
        throw cursor.corrupt(0, "a header of " + headerBytes + " bytes is not possible");
      }
      JsonNode header = SmallFiles.json(cursor.bytes(headerBytes, "the header"), path, 8);
      long dataBytes = cursor.sizeBytes() - 8 - headerBytes;
      Map<String, WeightEntry> tensors = new LinkedHashMap<>();
      for (Map.Entry<String, JsonNode> entry : header.properties()) {
        if (!entry.getKey().equals("__metadata__")) {
          tensors.put(
              entry.getKey(),
              place(path, entry.getKey(), entry.getValue(), headerBytes, dataBytes));
        }
      }
      checkOverlap(path, tensors);
      return new SafetensorsFile(path, tensors);
    } catch (IOException e) {
      throw SmallFiles.unreadable(path, e);
    }
  }

  private static WeightEntry place(
      Path path, String name, JsonNode info, int headerBytes, long dataBytes) {
    JsonNode offsets = info.path("data_offsets");
    JsonNode extents = info.path("shape");
    if (!offsets.isArray()
        || offsets.size() != 2
        || !extents.isArray()
        || extents.size() > MAX_RANK
        || !info.path("dtype").isTextual()) {
      throw corrupt(path, name, "needs dtype, shape and data_offsets");
    }
    DType dtype = dtype(path, name, info.path("dtype").textValue());
    long[] shape = new long[extents.size()];
    long elements = 1;
    for (int i = 0; i < shape.length; i++) {
      shape[i] = whole(path, name, extents.get(i));
      if (Math.multiplyHigh(elements, shape[i]) != 0 || elements * shape[i] < 0) {
        throw corrupt(path, name, "has an impossible shape " + extents);
      }
      elements *= shape[i];
    }
    long from = whole(path, name, offsets.get(0));
    long to = whole(path, name, offsets.get(1));
    if (from > to || to > dataBytes) {
      throw corrupt(
          path,
          name,
          "lies at " + from + " to " + to + " of the data, which has " + dataBytes + " bytes");
    }
    if (elements > Long.MAX_VALUE / dtype.blockBytes() || dtype.bytes(elements) != to - from) {
      throw corrupt(
          path,
          name,
          "has " + (to - from) + " bytes, which is not what shape " + extents + " needs");
    }
    var region = new FileRegion(path, 8L + headerBytes + from, to - from);
    return new WeightEntry(region, dtype, Shape.of(shape));
  }

  private static DType dtype(Path path, String name, String dtype) {
    return switch (dtype) {
      case "F32" -> DType.F32;
      case "F16" -> DType.F16;
      case "BF16" -> DType.BF16;
      default ->
          throw new InferenceException(
              ErrorCode.UNSUPPORTED_MODEL,
              "'"
                  + path
                  + "' holds '"
                  + name
                  + "' as "
                  + dtype
                  + "; supported in safetensors are F32, F16, BF16.");
    };
  }

  private static long whole(Path path, String name, JsonNode node) {
    if (!node.isIntegralNumber() || !node.canConvertToLong() || node.longValue() < 0) {
      throw corrupt(path, name, "has " + node + " where a whole number was expected");
    }
    return node.longValue();
  }

  private static void checkOverlap(Path path, Map<String, WeightEntry> tensors) {
    Map.@Nullable Entry<String, WeightEntry> before = null;
    for (var entry :
        tensors.entrySet().stream()
            .sorted(Comparator.comparingLong(e -> e.getValue().region().offsetBytes()))
            .toList()) {
      FileRegion region = entry.getValue().region();
      if (before != null) {
        FileRegion previous = before.getValue().region();
        if (region.offsetBytes() < previous.offsetBytes() + previous.sizeBytes()) {
          throw FileCursor.corrupt(
              path,
              region.offsetBytes(),
              "tensors '" + before.getKey() + "' and '" + entry.getKey() + "' overlap");
        }
      }
      if (region.sizeBytes() > 0) {
        before = entry;
      }
    }
  }

  private static InferenceException corrupt(Path path, String name, String problem) {
    return FileCursor.corrupt(path, 8, "in the header, tensor '" + name + "' " + problem);
  }
}
