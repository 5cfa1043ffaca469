package org.parallelcomp.api.backend;

import java.nio.file.Path;

/**
 * A range of bytes in a file, for a backend to map, upload or hand on as it sees fit.
 *
 * @param file the file
 * @param offsetBytes the first byte
 * @param sizeBytes the number of bytes
 */
public record FileRegion(Path file, long offsetBytes, long sizeBytes) {}
