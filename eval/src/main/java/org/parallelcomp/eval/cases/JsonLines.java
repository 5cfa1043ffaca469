package org.parallelcomp.eval.cases;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.engine.Engine;

/**
 * Questions of a user's own, a JSON object a line: {@code context}, {@code question}, {@code
 * answer_prefix}, {@code answer} (a string, or a list of them) and {@code max_new_tokens}, the
 * columns of kvpress's data sets. A column {@code task} may name the kind of question; others are
 * passed over.
 */
public final class JsonLines {
  private static final ObjectMapper MAPPER = new ObjectMapper();
  private static final int DEFAULT_MAX_TOKENS = 64;

  private JsonLines() {}

  /**
   * Reads a file, plain or packed by gzip.
   *
   * @param scoring how answers are compared
   * @throws InferenceException with the line and what is wrong with it
   */
  public static List<EvalCase> read(Path file, Scoring scoring) {
    List<EvalCase> cases = new ArrayList<>();
    int line = 0;
    for (String text : Engine.readText(file).split("\n")) {
      line++;
      if (!text.isBlank()) {
        cases.add(parse(text, file + ", line " + line, scoring));
      }
    }
    return cases;
  }

  private static EvalCase parse(String line, String where, Scoring scoring) {
    JsonNode row;
    try {
      row = MAPPER.readTree(line);
    } catch (JsonProcessingException e) {
      throw fault(where, "is no JSON object (" + e.getOriginalMessage() + ")");
    }
    List<String> answers = new ArrayList<>();
    JsonNode answer = row.path("answer");
    if (answer.isArray()) {
      answer.forEach(one -> answers.add(one.asText()));
    } else if (answer.isValueNode() && !answer.isNull()) {
      answers.add(answer.asText());
    }
    if (answers.isEmpty()) {
      throw fault(where, "has no answer");
    }
    int maxTokens = row.path("max_new_tokens").asInt(DEFAULT_MAX_TOKENS);
    if (maxTokens < 1) {
      throw fault(where, "allows " + maxTokens + " new tokens, which must be at least 1");
    }
    return new EvalCase(
        row.path("task").asText("jsonl"),
        0,
        Double.NaN,
        words(row, "context", where),
        words(row, "question", where),
        "",
        null,
        row.path("answer_prefix").asText(""),
        answers,
        scoring,
        maxTokens);
  }

  private static String words(JsonNode row, String column, String where) {
    JsonNode value = row.path(column);
    if (!value.isTextual() || value.asText().isBlank()) {
      throw fault(where, "has no text in the column '" + column + "'");
    }
    return value.asText();
  }

  private static InferenceException fault(String where, String fault) {
    return new InferenceException(ErrorCode.INVALID_TEXT, where + " " + fault + ".");
  }
}
