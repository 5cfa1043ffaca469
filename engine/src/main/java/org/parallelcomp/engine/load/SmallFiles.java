package org.parallelcomp.engine.load;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;

/** The text files beside the weights. */
final class SmallFiles {
  static final JsonMapper JSON =
      JsonMapper.builder(
              JsonFactory.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build())
          .build();

  private SmallFiles() {}

  /** Reads a JSON object. */
  static JsonNode json(Path path) {
    try {
      return object(JSON.readTree(Files.readAllBytes(path)), path, 0);
    } catch (JsonProcessingException e) {
      throw badJson(path, 0, e);
    } catch (IOException e) {
      throw unreadable(path, e);
    }
  }

  /** Parses a JSON object that begins at an offset of a file. */
  static JsonNode json(byte[] bytes, Path path, long offset) {
    try {
      return object(JSON.readTree(bytes), path, offset);
    } catch (JsonProcessingException e) {
      throw badJson(path, offset, e);
    } catch (IOException e) {
      throw unreadable(path, e);
    }
  }

  static String text(Path path) {
    try {
      return Files.readString(path);
    } catch (java.nio.charset.CharacterCodingException e) {
      throw new InferenceException(ErrorCode.CORRUPT_FILE, "'" + path + "' is not UTF-8 text.", e);
    } catch (IOException e) {
      throw unreadable(path, e);
    }
  }

  static InferenceException unreadable(Path path, IOException cause) {
    if (cause instanceof NoSuchFileException) {
      return new InferenceException(
          ErrorCode.FILE_NOT_READABLE, "There is no file '" + path + "'.", cause);
    }
    return new InferenceException(
        ErrorCode.FILE_NOT_READABLE,
        "'" + path + "' cannot be read: " + cause.getMessage() + ".",
        cause);
  }

  private static JsonNode object(JsonNode node, Path path, long offset) {
    if (!node.isObject()) {
      throw FileCursor.corrupt(path, offset, "expected a JSON object");
    }
    return node;
  }

  private static InferenceException badJson(Path path, long offset, JsonProcessingException e) {
    long inside = e.getLocation() == null ? 0 : Math.max(0, e.getLocation().getByteOffset());
    String problem = e.getOriginalMessage().lines().findFirst().orElse("unreadable");
    return FileCursor.corrupt(
        path, offset + inside, "expected JSON (" + problem.replaceAll("[.]$", "") + ")");
  }
}
