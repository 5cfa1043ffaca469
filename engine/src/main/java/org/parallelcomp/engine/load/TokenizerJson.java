package org.parallelcomp.engine.load;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.io.JsonStringEncoder;
import java.io.IOException;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.util.Map;

/** Writes the JSON form of the tokenizers library. */
final class TokenizerJson {
  /** A BPE model's part that is the same for both kinds. */
  private interface Part {
    void write(JsonGenerator json) throws IOException;
  }

  /** Not the mapper of {@link SmallFiles}, which takes a third of a second to load. */
  private static final JsonFactory JSON = new JsonFactory();

  private TokenizerJson() {}

  /** Returns whether {@link #byteLevel} wrote this. */
  static boolean isByteLevel(String json) {
    return PreTokenizer.all().stream()
        .anyMatch(
            split ->
                json.startsWith("\"pre_tokenizer\":" + preTokenizer(split), PREAMBLE.length())
                    && json.startsWith(PREAMBLE));
  }

  /** Byte-level BPE: bytes are written as printable characters, words are cut by a pattern. */
  static String byteLevel(Map<String, Integer> ids, String[] merges, PreTokenizer split) {
    return document(
        json -> {
          json.writeNullField("normalizer");
          json.writeFieldName("pre_tokenizer");
          json.writeRawValue(preTokenizer(split));
          json.writeFieldName("decoder");
          json.writeRawValue(BYTE_LEVEL);
        },
        json -> {
          json.writeNullField("unk_token");
          json.writeBooleanField("fuse_unk", false);
          json.writeBooleanField("byte_fallback", false);
          json.writeBooleanField("ignore_merges", split.ignoreMerges());
        },
        ids,
        merges);
  }

  /** SentencePiece BPE: a space is "▁", and characters without a token become bytes. */
  static String sentencePiece(
      Map<String, Integer> ids, String[] merges, String unknown, boolean spacePrefix) {
    String replace = "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"▁\"}";
    String prepend = "{\"type\":\"Prepend\",\"prepend\":\"▁\"},";
    String strip = ",{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}";
    return document(
        json -> {
          json.writeFieldName("normalizer");
          json.writeRawValue(sequence("normalizers", (spacePrefix ? prepend : "") + replace));
          json.writeNullField("pre_tokenizer");
          json.writeFieldName("decoder");
          json.writeRawValue(
              sequence(
                  "decoders",
                  "{\"type\":\"Replace\",\"pattern\":{\"String\":\"▁\"},\"content\":\" \"},"
                      + "{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"}"
                      + (spacePrefix ? strip : "")));
        },
        json -> {
          json.writeStringField("unk_token", unknown);
          json.writeBooleanField("fuse_unk", true);
          json.writeBooleanField("byte_fallback", true);
          json.writeBooleanField("ignore_merges", false);
        },
        ids,
        merges);
  }

  /** How every document begins that does not change the text. */
  private static final String PREAMBLE =
      "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[],"
          + "\"normalizer\":null,";

  private static final String BYTE_LEVEL =
      "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":false,"
          + "\"use_regex\":false}";

  private static String preTokenizer(PreTokenizer split) {
    String pattern =
        "\""
            + String.valueOf(JsonStringEncoder.getInstance().quoteAsString(split.pattern()))
            + "\"";
    return sequence(
        "pretokenizers",
        (split.digitsFirst() ? "{\"type\":\"Digits\",\"individual_digits\":true}," : "")
            + "{\"type\":\"Split\",\"pattern\":{\"Regex\":"
            + pattern
            + "},\"behavior\":\"Isolated\",\"invert\":false},"
            + BYTE_LEVEL);
  }

  private static String sequence(String field, String members) {
    return "{\"type\":\"Sequence\",\"" + field + "\":[" + members + "]}";
  }

  private static String document(
      Part around, Part settings, Map<String, Integer> ids, String[] merges) {
    var text = new StringWriter(32 * ids.size());
    try (JsonGenerator json = JSON.createGenerator(text)) {
      json.writeStartObject();
      json.writeStringField("version", "1.0");
      json.writeNullField("truncation");
      json.writeNullField("padding");
      json.writeArrayFieldStart("added_tokens");
      json.writeEndArray();
      around.write(json);
      json.writeNullField("post_processor");
      json.writeObjectFieldStart("model");
      json.writeStringField("type", "BPE");
      json.writeNullField("dropout");
      json.writeNullField("continuing_subword_prefix");
      json.writeNullField("end_of_word_suffix");
      settings.write(json);
      json.writeObjectFieldStart("vocab");
      for (var token : ids.entrySet()) {
        json.writeNumberField(token.getKey(), token.getValue());
      }
      json.writeEndObject();
      json.writeArrayFieldStart("merges");
      for (String merge : merges) {
        json.writeString(merge);
      }
      json.writeEndArray();
      json.writeEndObject();
      json.writeEndObject();
    } catch (IOException e) {
      throw new UncheckedIOException("writing to memory", e);
    }
    return text.toString();
  }
}
