package org.parallelcomp.backend.onnx.graph;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;

/**
 * An ONNX graph in the making. Methods that add a node return the name of its (first) output, which
 * is an argument of later nodes. Field numbers are those of {@code onnx.proto}.
 */
public final class Graph {
  private static final long IR_VERSION = 10;
  private static final long OPSET = 21;

  /** The domain of ONNX Runtime's own operators. */
  private static final String MICROSOFT = "com.microsoft";

  /** Numbers that are part of a graph and constant in it. */
  public sealed interface Initializer {
    /** Returns how nodes call it. */
    String name();

    /** Returns the element type. */
    ElementType type();

    /** Returns the extents. */
    long[] dims();

    /** Returns the bytes that the numbers take. */
    default long bytes() {
      return Arrays.stream(dims()).reduce(type().bytes(), Math::multiplyExact);
    }
  }

  /**
   * Numbers used where they lie.
   *
   * @param data the numbers, little-endian and gapless
   */
  public record InPlace(String name, ElementType type, MemorySegment data, long[] dims)
      implements Initializer {}

  /**
   * Numbers that are computed into memory which belongs to the session.
   *
   * @param fill writes the numbers, little-endian and gapless
   */
  public record Computed(String name, ElementType type, Consumer<MemorySegment> fill, long[] dims)
      implements Initializer {}

  private final String name;
  private final Arena arena = Arena.ofAuto();
  private final List<Proto> nodeList = new ArrayList<>();
  private final List<Proto> inputs = new ArrayList<>();
  private final List<Proto> outputs = new ArrayList<>();
  private final List<String> inputNames = new ArrayList<>();
  private final List<String> outputNames = new ArrayList<>();
  private final List<InPlace> embedded = new ArrayList<>();
  private final List<Initializer> external = new ArrayList<>();
  private int values;

  /** Starts an empty graph. */
  public Graph(String name) {
    this.name = name;
  }

  /** Returns the graph's name. */
  public String name() {
    return name;
  }

  /** Returns the names of the inputs in the order in which they were declared. */
  public List<String> inputNames() {
    return List.copyOf(inputNames);
  }

  /** Returns the names of the outputs in the order in which they were declared. */
  public List<String> outputNames() {
    return List.copyOf(outputNames);
  }

  /** Returns the weights that are handed over beside the bytes of the graph. */
  public List<InPlace> inPlace() {
    return external.stream()
        .filter(weight -> weight instanceof InPlace)
        .map(InPlace.class::cast)
        .toList();
  }

  /**
   * Declares an input.
   *
   * @param dims each a whole number, or the name of an extent that may differ from run to run
   */
  public String input(String input, ElementType type, Object... dims) {
    inputNames.add(input);
    inputs.add(valueInfo(input, type, dims));
    return input;
  }

  /** Declares a value to be an output. */
  public void output(String output, ElementType type, Object... dims) {
    outputNames.add(output);
    outputs.add(valueInfo(output, type, dims));
  }

  private static Proto valueInfo(String name, ElementType type, Object... dims) {
    var shape = new Proto();
    for (Object dim : dims) {
      var extent = new Proto();
      if (dim instanceof Number number) {
        extent.integer(1, number.longValue());
      } else {
        extent.string(2, (String) dim);
      }
      shape.message(1, extent);
    }
    var tensorType = new Proto().integer(1, type.number()).message(2, shape);
    return new Proto().string(1, name).message(2, new Proto().message(1, tensorType));
  }

  /** Adds small constants to the bytes of the graph; rank 1, or a scalar if asked for. */
  public String integers(long... numbers) {
    return integers(new long[] {numbers.length}, numbers);
  }

  /** Adds one whole number of rank 0. */
  public String integer(long number) {
    return integers(new long[0], number);
  }

  private String integers(long[] dims, long... numbers) {
    MemorySegment data = arena.allocateFrom(ValueLayout.JAVA_LONG, numbers);
    return embed(ElementType.INT64, data, dims);
  }

  /** Adds one number of rank 0. */
  public String number(float value) {
    return embed(ElementType.FLOAT, arena.allocateFrom(ValueLayout.JAVA_FLOAT, value), new long[0]);
  }

  /** Adds numbers of rank 1. */
  public String numbers(float... values) {
    MemorySegment data = arena.allocateFrom(ValueLayout.JAVA_FLOAT, values);
    return embed(ElementType.FLOAT, data, new long[] {values.length});
  }

  /** Adds one unsigned byte of rank 0. */
  public String unsignedByte(int value) {
    return embed(
        ElementType.UINT8, arena.allocateFrom(ValueLayout.JAVA_BYTE, (byte) value), new long[0]);
  }

  private String embed(ElementType type, MemorySegment data, long[] dims) {
    String constant = "c" + values++;
    embedded.add(new InPlace(constant, type, data, dims));
    return constant;
  }

  /**
   * Adds weights that are used where they lie.
   *
   * @param data must stay valid as long as a session of the graph
   */
  public String weights(String weight, ElementType type, MemorySegment data, long... dims) {
    external.add(new InPlace(weight, type, data, dims));
    return weight;
  }

  /**
   * Adds weights that are computed when a session is made.
   *
   * @param fill writes the numbers, little-endian and gapless
   */
  public String weights(
      String weight, ElementType type, Consumer<MemorySegment> fill, long... dims) {
    external.add(new Computed(weight, type, fill, dims));
    return weight;
  }

  /** Adds a node of the standard operators without attributes. */
  public String node(String operator, String... arguments) {
    return node(operator, Map.of(), arguments);
  }

  /** Adds a node of the standard operators. */
  public String node(String operator, Map<String, ?> attributes, String... arguments) {
    return node("", operator, attributes, 1, arguments).getFirst();
  }

  /** Adds a node with several outputs. */
  public List<String> nodes(
      String operator, int outputCount, Map<String, ?> attributes, String... arguments) {
    return node("", operator, attributes, outputCount, arguments);
  }

  /** Adds a node of ONNX Runtime's own operators. */
  public String contributed(String operator, Map<String, ?> attributes, String... arguments) {
    return node(MICROSOFT, operator, attributes, 1, arguments).getFirst();
  }

  /** Adds a node of ONNX Runtime's own operators with several outputs. */
  public List<String> contributed(
      String operator, int outputCount, Map<String, ?> attributes, String... arguments) {
    return node(MICROSOFT, operator, attributes, outputCount, arguments);
  }

  /** Adds a node of ONNX Runtime's own operators whose outputs have names of one's own choice. */
  public void contributed(
      String operator, List<String> results, Map<String, ?> attributes, String... arguments) {
    node(MICROSOFT, operator, attributes, results, arguments);
  }

  private List<String> node(
      String domain,
      String operator,
      Map<String, ?> attributes,
      int outputCount,
      String... arguments) {
    var results = new ArrayList<String>();
    for (int i = 0; i < outputCount; i++) {
      results.add("v" + values++);
    }
    node(domain, operator, attributes, results, arguments);
    return results;
  }

  private void node(
      String domain,
      String operator,
      Map<String, ?> attributes,
      List<String> results,
      String... arguments) {
    var node = new Proto();
    for (String argument : arguments) {
      node.string(1, argument);
    }
    results.forEach(result -> node.string(2, result));
    node.string(3, operator + nodeList.size()).string(4, operator);
    attributes.forEach((key, value) -> node.message(5, attribute(key, value)));
    node.string(7, domain);
    nodeList.add(node);
  }

  /** Gives a value a name of one's own choice, as outputs need. */
  public String named(String value, String newName) {
    nodeList.add(
        new Proto()
            .string(1, value)
            .string(2, newName)
            .string(3, "name" + nodeList.size())
            .string(4, "Identity"));
    return newName;
  }

  private static Proto attribute(String name, Object value) {
    var attribute = new Proto().string(1, name);
    switch (value) {
      case Integer number -> attribute.integer(3, number).integer(20, 2);
      case Float number -> attribute.number(2, number).integer(20, 1);
      case String text -> attribute.string(4, text).integer(20, 3);
      case long[] numbers -> {
        for (long number : numbers) {
          attribute.integer(8, number);
        }
        attribute.integer(20, 7);
      }
      default -> throw new IllegalArgumentException(name + " of " + value.getClass());
    }
    return attribute;
  }

  /**
   * Returns the model's bytes. Weights that are used where they lie are only named; the computed
   * ones are computed into the bytes.
   */
  public MemorySegment toBytes(Arena owner) {
    List<Initializer> inside =
        external.stream().filter(weight -> weight instanceof Computed).toList();
    var small = new Proto();
    for (Initializer weight : external) {
      if (weight instanceof InPlace) {
        var location = new Proto().string(1, "location").string(2, "handed-over-by-address");
        small.message(5, tensor(weight).message(13, location).integer(14, 1));
      }
    }
    return model(owner, small, inside);
  }

  /** Writes the whole model, weights included, to a file that any viewer of ONNX opens. */
  public void writeTo(Path folder, String file) {
    try (Arena owner = Arena.ofShared()) {
      Files.createDirectories(folder);
      Path target = folder.resolve(file);
      ByteBuffer bytes = model(owner, new Proto(), external).asByteBuffer();
      try (FileChannel channel =
          FileChannel.open(
              target,
              StandardOpenOption.CREATE,
              StandardOpenOption.TRUNCATE_EXISTING,
              StandardOpenOption.WRITE)) {
        while (bytes.hasRemaining()) {
          channel.write(bytes);
        }
      }
    } catch (IOException e) {
      throw new InferenceException(
          ErrorCode.FILE_NOT_READABLE,
          "The graph " + file + " cannot be written to " + folder + ": " + e + ".",
          e);
    }
  }

  /**
   * Puts the model together in native memory, into which the numbers of large weights go directly:
   * a message is its parts one after another, so only their lengths must be known before.
   */
  private MemorySegment model(Arena owner, Proto small, List<Initializer> weights) {
    nodeList.forEach(node -> small.message(1, node));
    small.string(2, name);
    embedded.forEach(constant -> small.message(5, tensor(constant).block(9, constant.data)));
    inputs.forEach(input -> small.message(11, input));
    outputs.forEach(output -> small.message(12, output));
    byte[] rest = small.toByteArray();
    long graphBytes = rest.length;
    var heads = new ArrayList<byte[]>();
    for (Initializer weight : weights) {
      byte[] tensor = tensor(weight).toByteArray();
      byte[] numbers = new Proto().begin(9, weight.bytes()).toByteArray();
      long length = tensor.length + numbers.length + weight.bytes();
      byte[] head = new Proto().begin(5, length).raw(tensor).raw(numbers).toByteArray();
      heads.add(head);
      graphBytes += head.length + weight.bytes();
    }
    byte[] front =
        new Proto()
            .integer(1, IR_VERSION)
            .string(2, "parallelcomp")
            .message(8, new Proto().string(1, "").integer(2, OPSET))
            .message(8, new Proto().string(1, MICROSOFT).integer(2, 1))
            .begin(7, graphBytes)
            .toByteArray();
    if (front.length + graphBytes > Integer.MAX_VALUE) {
      throw new InferenceException(
          ErrorCode.UNSUPPORTED_MODEL,
          "The weights of the graph "
              + name
              + " take "
              + graphBytes
              + " bytes, more than the 2 GiB of an ONNX graph; choose a lower precision, or a file"
              + " of F32, whose weights need not be unpacked.");
    }
    MemorySegment all = owner.allocate(front.length + graphBytes);
    long at = put(all, 0, front);
    for (int i = 0; i < heads.size(); i++) {
      at = put(all, at, heads.get(i));
      Initializer weight = weights.get(i);
      MemorySegment place = all.asSlice(at, weight.bytes());
      switch (weight) {
        case InPlace there -> place.copyFrom(there.data.asSlice(0, weight.bytes()));
        case Computed computed -> computed.fill.accept(place);
      }
      at += weight.bytes();
    }
    put(all, at, rest);
    return all;
  }

  private static long put(MemorySegment all, long at, byte[] part) {
    MemorySegment.copy(part, 0, all, ValueLayout.JAVA_BYTE, at, part.length);
    return at + part.length;
  }

  private static Proto tensor(Initializer initializer) {
    var tensor = new Proto();
    Arrays.stream(initializer.dims()).forEach(dim -> tensor.integer(1, dim));
    return tensor.integer(2, initializer.type().number()).string(8, initializer.name());
  }
}
