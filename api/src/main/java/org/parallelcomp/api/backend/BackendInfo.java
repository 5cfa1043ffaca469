package org.parallelcomp.api.backend;

import java.util.Map;

/**
 * Plain facts about an open backend.
 *
 * @param id the provider's id
 * @param device what computes, in words
 * @param threads worker threads in use
 * @param totalBytes memory of the device
 * @param freeBytes memory of the device that can still be allocated
 * @param facts further facts for people, such as the vector width, in a stable order
 */
public record BackendInfo(
    String id,
    String device,
    int threads,
    long totalBytes,
    long freeBytes,
    Map<String, String> facts) {}
