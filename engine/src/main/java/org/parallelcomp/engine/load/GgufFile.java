package org.parallelcomp.engine.load;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.FileRegion;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;

/**
 * The header of a GGUF file, version 2 or 3, little endian. Of the tensors only their places are
 * read.
 *
 * <pre>
 * magic            4 bytes  "GGUF"
 * version          u32      2 or 3 (the same layout)
 * tensor count     u64
 * metadata count   u64
 * metadata, each:
 *   key            string   u64 bytes, then UTF-8
 *   type           u32      0 u8, 1 i8, 2 u16, 3 i16, 4 u32, 5 i32, 6 f32, 7 bool, 8 string,
 *                           9 array, 10 u64, 11 i64, 12 f64
 *   value                   of that type; an array is element type u32, count u64, elements
 * tensors, each:
 *   name           string
 *   rank           u32      1 to 4
 *   extents        u64 each innermost first
 *   type           u32      the number of a ggml type
 *   offset         u64      from the start of the data, a multiple of general.alignment
 * padding          to a multiple of general.alignment (32 unless the metadata say otherwise)
 * data
 * </pre>
 *
 * Source: the GGUF specification in the ggml project, {@code docs/gguf.md}.
 *
 * @param path the file
 * @param version 2 or 3
 * @param metadata values by key: {@link Long}, {@link Double}, {@link Boolean}, {@link String}, or
 *     the arrays {@code long[]}, {@code double[]}, {@code boolean[]}, {@code String[]}; arrays of
 *     arrays are passed over, since no key that is used here holds one
 * @param tensors places by name, in the order of the file
 */
record GgufFile(
    Path path, int version, Map<String, Object> metadata, Map<String, WeightEntry> tensors) {
  /** "GGUF" as a little-endian number. */
  static final int MAGIC = 0x46554747;

  private static final int MAX_ARRAY_DEPTH = 8;
  private static final int MAX_RANK = 4;
  private static final int MAX_ALIGNMENT = 1 << 20;

  /** Every type of ggml, so that one that is not supported can be named. */
  private static final Map<Integer, String> TYPE_NAMES =
      Map.ofEntries(
          Map.entry(0, "F32"),
          Map.entry(1, "F16"),
          Map.entry(2, "Q4_0"),
          Map.entry(3, "Q4_1"),
          Map.entry(6, "Q5_0"),
          Map.entry(7, "Q5_1"),
          Map.entry(8, "Q8_0"),
          Map.entry(9, "Q8_1"),
          Map.entry(10, "Q2_K"),
          Map.entry(11, "Q3_K"),
          Map.entry(12, "Q4_K"),
          Map.entry(13, "Q5_K"),
          Map.entry(14, "Q6_K"),
          Map.entry(15, "Q8_K"),
          Map.entry(16, "IQ2_XXS"),
          Map.entry(17, "IQ2_XS"),
          Map.entry(18, "IQ3_XXS"),
          Map.entry(19, "IQ1_S"),
          Map.entry(20, "IQ4_NL"),
          Map.entry(21, "IQ3_S"),
          Map.entry(22, "IQ2_S"),
          Map.entry(23, "IQ4_XS"),
          Map.entry(24, "I8"),
          Map.entry(25, "I16"),
          Map.entry(26, "I32"),
          Map.entry(27, "I64"),
          Map.entry(28, "F64"),
          Map.entry(29, "IQ1_M"),
          Map.entry(30, "BF16"),
          Map.entry(34, "TQ1_0"),
          Map.entry(35, "TQ2_0"),
          Map.entry(39, "MXFP4"));

  /**
   * Reads the header.
   *
   * @throws InferenceException CORRUPT_FILE with the offset and what was expected;
   *     UNSUPPORTED_MODEL for another version, byte order or tensor type
   */
  static GgufFile read(Path path) {
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      return new Reader(path, new FileCursor(path, channel)).read();
    } catch (IOException e) {
      throw SmallFiles.unreadable(path, e);
    }
  }

  /** Returns a number of the metadata as a whole one, or null where there is none. */
  @Nullable Long integer(String key) {
    Object value = metadata.get(key);
    if (value == null || value instanceof Long) {
      return (Long) value;
    }
    // Some converters write one number per layer where every layer has the same.
    if (value instanceof long[] all
        && all.length > 0
        && Arrays.stream(all).allMatch(v -> v == all[0])) {
      return all[0];
    }
    if (value instanceof long[]) {
      throw new InferenceException(
          ErrorCode.UNSUPPORTED_MODEL,
          "'" + path + "' has a different " + key + " in each layer, which is not supported.");
    }
    throw wrongType(key, "a whole number");
  }

  /** Returns a number of the metadata, or null where there is none. */
  @Nullable Double number(String key) {
    Object value = metadata.get(key);
    if (value == null || value instanceof Double) {
      return (Double) value;
    }
    if (value instanceof Long whole) {
      return whole.doubleValue();
    }
    throw wrongType(key, "a number");
  }

  @Nullable String string(String key) {
    return typed(key, String.class, "a string");
  }

  @Nullable Boolean bool(String key) {
    return typed(key, Boolean.class, "true or false");
  }

  String @Nullable [] strings(String key) {
    return typed(key, String[].class, "an array of strings");
  }

  long @Nullable [] integers(String key) {
    return typed(key, long[].class, "an array of whole numbers");
  }

  double @Nullable [] numbers(String key) {
    return typed(key, double[].class, "an array of numbers");
  }

  private <T> @Nullable T typed(String key, Class<T> type, String expected) {
    Object value = metadata.get(key);
    if (value == null || type.isInstance(value)) {
      return type.cast(value);
    }
    throw wrongType(key, expected);
  }

  private InferenceException wrongType(String key, String expected) {
    return new InferenceException(
        ErrorCode.CORRUPT_FILE,
        "'" + path + "' is damaged: the metadata value " + key + " should be " + expected + ".");
  }

  private record TensorInfo(
      long at, String name, long[] extents, DType dtype, long offset, long sizeBytes) {}

  /** The state of one pass over the header. */
  private static final class Reader {
    private final Path path;
    private final FileCursor cursor;

    Reader(Path path, FileCursor cursor) {
      this.path = path;
      this.cursor = cursor;
    }

    GgufFile read() throws IOException {
      if (cursor.sizeBytes() < 4 || cursor.i32("the magic") != MAGIC) {
        throw cursor.corrupt(0, "a GGUF file begins with the letters GGUF");
      }
      int version = cursor.i32("the version");
      if (version == Integer.reverseBytes(2) || version == Integer.reverseBytes(3)) {
        throw new InferenceException(
            ErrorCode.UNSUPPORTED_MODEL,
            "'" + path + "' is a big-endian GGUF file; only little-endian ones are supported.");
      }
      if (version != 2 && version != 3) {
        throw new InferenceException(
            ErrorCode.UNSUPPORTED_MODEL,
            "'"
                + path
                + "' is a GGUF file of version "
                + Integer.toUnsignedString(version)
                + "; versions 2 and 3 are supported.");
      }
      // The smallest tensor entry: name length, rank, one extent, type, offset.
      int tensorCount = cursor.count(8 + 4 + 8 + 4 + 8, "the number of tensors");
      // The smallest metadata entry: key length, type, one byte.
      int metadataCount = cursor.count(8 + 4 + 1, "the number of metadata entries");
      Map<String, Object> metadata = metadata(metadataCount);
      TensorInfo[] infos = new TensorInfo[tensorCount];
      for (int i = 0; i < tensorCount; i++) {
        infos[i] = tensorInfo();
      }
      return new GgufFile(path, version, metadata, places(infos, alignment(metadata)));
    }

    private Map<String, Object> metadata(int count) throws IOException {
      Map<String, Object> metadata = new LinkedHashMap<>();
      for (int i = 0; i < count; i++) {
        long at = cursor.offset();
        String key = cursor.string("a metadata key");
        int type = cursor.i32("the type of " + shown(key));
        Object value = value(key, type);
        if (value != null && metadata.put(key, value) != null) {
          throw cursor.corrupt(at, "the metadata key " + shown(key) + " appears twice");
        }
      }
      return metadata;
    }

    private @Nullable Object value(String key, int type) throws IOException {
      String what = "the value of " + shown(key);
      return switch (type) {
        case 0 -> (long) (cursor.u8(what) & 0xff);
        case 1 -> (long) cursor.u8(what);
        case 2 -> (long) (cursor.i16(what) & 0xffff);
        case 3 -> (long) cursor.i16(what);
        case 4 -> cursor.i32(what) & 0xffffffffL;
        case 5 -> (long) cursor.i32(what);
        case 6 -> (double) Float.intBitsToFloat(cursor.i32(what));
        case 7 -> cursor.u8(what) != 0;
        case 8 -> cursor.string(what);
        case 9 -> array(key, what, 1);
        case 10, 11 -> cursor.i64(what);
        case 12 -> Double.longBitsToDouble(cursor.i64(what));
        default -> throw unknownType(type, what);
      };
    }

    private @Nullable Object array(String key, String what, int depth) throws IOException {
      long at = cursor.offset();
      int type = cursor.i32("the element type of " + shown(key));
      int leastBytes =
          switch (type) {
            case 0, 1, 7 -> 1;
            case 2, 3 -> 2;
            case 4, 5, 6 -> 4;
            case 8, 10, 11, 12 -> 8;
            case 9 -> 12;
            default -> throw unknownType(type, "the elements of " + shown(key));
          };
      int count = cursor.count(leastBytes, "the number of elements of " + shown(key));
      switch (type) {
        case 6, 12 -> {
          double[] numbers = new double[count];
          for (int i = 0; i < count; i++) {
            numbers[i] =
                type == 6
                    ? Float.intBitsToFloat(cursor.i32(what))
                    : Double.longBitsToDouble(cursor.i64(what));
          }
          return numbers;
        }
        case 7 -> {
          boolean[] flags = new boolean[count];
          for (int i = 0; i < count; i++) {
            flags[i] = cursor.u8(what) != 0;
          }
          return flags;
        }
        case 8 -> {
          String[] strings = new String[count];
          for (int i = 0; i < count; i++) {
            strings[i] = cursor.string(what);
          }
          return strings;
        }
        case 9 -> {
          if (depth == MAX_ARRAY_DEPTH) {
            throw cursor.corrupt(
                at, shown(key) + " nests arrays more than " + MAX_ARRAY_DEPTH + " deep");
          }
          for (int i = 0; i < count; i++) {
            array(key, what, depth + 1);
          }
          return null;
        }
        default -> {
          long[] numbers = new long[count];
          for (int i = 0; i < count; i++) {
            numbers[i] = integer(type, what);
          }
          return numbers;
        }
      }
    }

    private long integer(int type, String what) throws IOException {
      return switch (type) {
        case 0 -> cursor.u8(what) & 0xff;
        case 1 -> cursor.u8(what);
        case 2 -> cursor.i16(what) & 0xffff;
        case 3 -> cursor.i16(what);
        case 4 -> cursor.i32(what) & 0xffffffffL;
        case 5 -> cursor.i32(what);
        default -> cursor.i64(what);
      };
    }

    private TensorInfo tensorInfo() throws IOException {
      long at = cursor.offset();
      String name = cursor.string("a tensor's name");
      long rankAt = cursor.offset();
      int rank = cursor.i32("the rank of " + shown(name));
      if (rank < 1 || rank > MAX_RANK) {
        throw cursor.corrupt(
            rankAt,
            "tensor "
                + shown(name)
                + " has rank "
                + Integer.toUnsignedString(rank)
                + "; expected 1 to "
                + MAX_RANK);
      }
      long[] extents = new long[rank];
      long elements = 1;
      for (int i = rank - 1; i >= 0; i--) {
        long extentAt = cursor.offset();
        long extent = cursor.i64("the extents of " + shown(name));
        if (extent < 1 || Math.multiplyHigh(elements, extent) != 0 || elements * extent < 0) {
          throw cursor.corrupt(
              extentAt,
              "tensor "
                  + shown(name)
                  + " has the extent "
                  + Long.toUnsignedString(extent)
                  + ", which no tensor can have here");
        }
        elements *= extent;
        extents[i] = extent;
      }
      long typeAt = cursor.offset();
      DType dtype = dtype(cursor.i32("the type of " + shown(name)), name, typeAt);
      long row = extents[rank - 1];
      if (row % dtype.blockElements() != 0) {
        throw cursor.corrupt(
            rankAt,
            "the rows of tensor "
                + shown(name)
                + " hold "
                + row
                + " numbers, which do not fill blocks of "
                + dtype.blockElements()
                + " as "
                + dtype
                + " needs");
      }
      long blocks = elements / dtype.blockElements();
      if (blocks > cursor.sizeBytes() / dtype.blockBytes()) {
        throw cursor.corrupt(
            rankAt,
            "tensor "
                + shown(name)
                + " of "
                + elements
                + " numbers of type "
                + dtype
                + " is larger than the file");
      }
      long offset = cursor.i64("the offset of " + shown(name));
      return new TensorInfo(at, name, extents, dtype, offset, dtype.bytes(elements));
    }

    private DType dtype(int type, String name, long at) {
      String typeName = TYPE_NAMES.get(type);
      if (typeName == null) {
        throw cursor.corrupt(
            at,
            "tensor " + shown(name) + " has the unknown type " + Integer.toUnsignedString(type));
      }
      return Weights.supportedTypes().stream()
          .filter(d -> d.name().equals(typeName))
          .findAny()
          .orElseThrow(
              () ->
                  new InferenceException(
                      ErrorCode.UNSUPPORTED_MODEL,
                      "'"
                          + path
                          + "' holds "
                          + shown(name)
                          + " as "
                          + typeName
                          + "; supported are "
                          + Weights.supportedTypes().stream()
                              .map(DType::name)
                              .collect(Collectors.joining(", "))
                          + "."));
    }

    private int alignment(Map<String, Object> metadata) {
      Object value = metadata.getOrDefault("general.alignment", 32L);
      if (!(value instanceof Long alignment)
          || alignment < 1
          || alignment > MAX_ALIGNMENT
          || Long.bitCount(alignment) != 1) {
        throw cursor.corrupt(
            cursor.offset(), "general.alignment is " + value + "; expected a power of two");
      }
      return alignment.intValue();
    }

    private Map<String, WeightEntry> places(TensorInfo[] infos, int alignment) {
      long dataOffset = (cursor.offset() + alignment - 1) & -(long) alignment;
      Map<String, WeightEntry> places = new LinkedHashMap<>();
      for (TensorInfo info : infos) {
        if ((info.offset & (alignment - 1)) != 0) {
          throw cursor.corrupt(
              info.at,
              String.format(
                  Locale.ROOT,
                  "tensor %s begins at %s, which is no multiple of the alignment %d",
                  shown(info.name),
                  Long.toUnsignedString(info.offset),
                  alignment));
        }
        long room = cursor.sizeBytes() - dataOffset - info.sizeBytes;
        if (info.offset < 0 || info.offset > room) {
          throw cursor.corrupt(
              info.at,
              String.format(
                  Locale.ROOT,
                  "tensor %s of %d bytes at %s of the data reaches beyond the end of the file"
                      + " (%d bytes)",
                  shown(info.name),
                  info.sizeBytes,
                  Long.toUnsignedString(info.offset),
                  cursor.sizeBytes()));
        }
        var region = new FileRegion(path, dataOffset + info.offset, info.sizeBytes);
        var entry = new WeightEntry(region, info.dtype, Shape.of(info.extents));
        if (places.put(info.name, entry) != null) {
          throw cursor.corrupt(info.at, "tensor " + shown(info.name) + " appears twice");
        }
      }
      return places;
    }

    private InferenceException unknownType(int type, String what) {
      return cursor.corrupt(
          cursor.offset(),
          "type "
              + Integer.toUnsignedString(type)
              + " of "
              + what
              + " does not exist; expected 0 to 12");
    }

    /** A name as it may stand in a message: damaged ones can be long and unprintable. */
    private static String shown(String name) {
      String printable = name.replaceAll("\\p{Cntrl}", "?");
      return "'" + (printable.length() > 60 ? printable.substring(0, 60) + "…" : printable) + "'";
    }
  }
}
