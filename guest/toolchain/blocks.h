/* The heap of scripts, and of the guest's Rust code (src/heap.rs).
 *
 * Small blocks are carved off a chunk one after the other, so that a run writes to few
 * pages of memory. A block that is freed goes onto the list of its size, and is the next
 * one of that size. Large blocks come from the allocator of the Rust code, as chunks do.
 *
 * The four bytes before a block say how long it is: the stride of a small one, and the
 * bytes of a large one together with LARGE_HEAD. A block begins at a multiple of eight,
 * as JSValue demands.
 *
 * Now and then, the chunks whose blocks are all free are returned, so that blocks of other
 * sizes can have their memory. It cannot wait until there is no more memory: the host ends
 * a run that asks for more than it may have.
 */
#ifndef SLUICE_BLOCKS_H
#define SLUICE_BLOCKS_H

#include <stdint.h>
#include <string.h>

/* from one small block to the next: what can be used, and the four bytes before it */
#define BLOCK_STEP 8
#define BLOCK_STRIDE_MAX 512
#define BLOCK_HEAD 4
#define LARGE_HEAD 8
/* A chunk begins at a multiple of this. What is left of it is for dlmalloc, so that the
   next chunk can follow. */
#define CHUNK_ALIGN (64 << 10)
#define CHUNK_BYTES (CHUNK_ALIGN - 16)
#define CHUNKS_AT_FIRST 16

/* in src/heap.rs */
void *sluice_large_new(size_t bytes);
void *sluice_large_resize(void *start, size_t old_bytes, size_t bytes);
void sluice_large_free(void *start, size_t bytes);
void *sluice_chunk_new(size_t bytes, size_t align);
void sluice_chunk_free(void *chunk, size_t bytes, size_t align);

typedef struct SluiceBlock {
    struct SluiceBlock *next;
} SluiceBlock;

typedef struct SluiceChunk {
    struct SluiceChunk *next;
    /* while chunks are returned: the bytes of its free blocks */
    uint32_t freed;
} SluiceChunk;

static struct {
    /* what is left of the first chunk */
    uint8_t *next, *end;
    SluiceChunk *chunks;
    uint32_t chunk_count, return_at_count;
    SluiceBlock *freed[BLOCK_STRIDE_MAX / BLOCK_STEP + 1];
} sluice_heap;

static inline uint32_t *block_head(const void *block)
{
    return (uint32_t *)block - 1;
}

/* the bytes that can be used */
static inline size_t block_bytes(const void *block)
{
    uint32_t head = *block_head(block);
    return head - (head <= BLOCK_STRIDE_MAX ? BLOCK_HEAD : LARGE_HEAD);
}

static inline size_t block_stride(size_t bytes)
{
    return (bytes + BLOCK_HEAD + BLOCK_STEP - 1) & ~(size_t)(BLOCK_STEP - 1);
}

static inline bool block_is_small(size_t bytes)
{
    return bytes <= BLOCK_STRIDE_MAX - BLOCK_HEAD;
}

static void small_freed(void *block, size_t stride)
{
    SluiceBlock **freed = &sluice_heap.freed[stride / BLOCK_STEP];
    ((SluiceBlock *)block)->next = *freed;
    *freed = block;
}

static SluiceChunk *chunk_of(void *block)
{
    return (SluiceChunk *)((uintptr_t)block & ~(uintptr_t)(CHUNK_ALIGN - 1));
}

/* the bytes of all blocks of a chunk; the last one ends four bytes after its stride */
#define CHUNK_ROOM (CHUNK_BYTES - sizeof(SluiceChunk) - BLOCK_STEP)

/* Returns the chunks without a used block. */
static __attribute__((noinline)) void return_chunks(void)
{
    SluiceChunk *chunk, **link;
    SluiceBlock *block, **freed;
    int i;

    for (chunk = sluice_heap.chunks; chunk; chunk = chunk->next)
        chunk->freed = 0;
    for (i = 0; i <= BLOCK_STRIDE_MAX / BLOCK_STEP; i++) {
        for (block = sluice_heap.freed[i]; block; block = block->next)
            chunk_of(block)->freed += i * BLOCK_STEP;
    }
    for (i = 0; i <= BLOCK_STRIDE_MAX / BLOCK_STEP; i++) {
        for (freed = &sluice_heap.freed[i]; (block = *freed) != NULL;) {
            if (chunk_of(block)->freed == CHUNK_ROOM)
                *freed = block->next;
            else
                freed = &block->next;
        }
    }
    for (link = &sluice_heap.chunks; (chunk = *link) != NULL;) {
        if (chunk->freed == CHUNK_ROOM) {
            *link = chunk->next;
            sluice_chunk_free(chunk, CHUNK_BYTES, CHUNK_ALIGN);
            sluice_heap.chunk_count--;
        } else {
            link = &chunk->next;
        }
    }
}

/* false: no memory */
static __attribute__((noinline)) bool new_chunk(void)
{
    SluiceChunk *chunk;
    size_t rest;
    /* The work is in proportion to the blocks that were freed, and to those of later chunks. */
    if (sluice_heap.chunk_count >= sluice_heap.return_at_count) {
        return_chunks();
        sluice_heap.return_at_count = sluice_heap.chunk_count + sluice_heap.chunk_count / 4 + CHUNKS_AT_FIRST;
    }
    chunk = sluice_chunk_new(CHUNK_BYTES, CHUNK_ALIGN);
    if (!chunk)
        return false;
    /* Of the old chunk, nothing is lost. */
    rest = sluice_heap.end - sluice_heap.next;
    if (rest >= BLOCK_STEP) {
        uint8_t *block = sluice_heap.next + BLOCK_STEP;
        *block_head(block) = rest;
        small_freed(block, rest);
    }
    chunk->next = sluice_heap.chunks;
    sluice_heap.chunks = chunk;
    sluice_heap.chunk_count++;
    sluice_heap.next = (uint8_t *)(chunk + 1);
    sluice_heap.end = sluice_heap.next + CHUNK_ROOM;
    return true;
}

static __attribute__((noinline)) void *small_carve(size_t stride)
{
    uint8_t *block;
    if ((size_t)(sluice_heap.end - sluice_heap.next) < stride && !new_chunk())
        return NULL;
    block = sluice_heap.next + BLOCK_STEP;
    sluice_heap.next += stride;
    *block_head(block) = stride;
    return block;
}

static inline void *small_new(size_t bytes)
{
    size_t stride = block_stride(bytes);
    SluiceBlock **freed = &sluice_heap.freed[stride / BLOCK_STEP];
    SluiceBlock *block = *freed;
    if (__builtin_expect(block != NULL, 1)) {
        *freed = block->next;
        return block;
    }
    return small_carve(stride);
}

/* what a large block takes with its head, or 0 if it is too large */
static inline size_t large_bytes(size_t bytes)
{
    return bytes > INT32_MAX ? 0 : (bytes + 2 * LARGE_HEAD - 1) & ~(size_t)(LARGE_HEAD - 1);
}

/* the block of what the Rust code has allocated, if it has */
static inline void *large_block(uint8_t *start, size_t bytes)
{
    if (!start)
        return NULL;
    start += LARGE_HEAD;
    *block_head(start) = bytes;
    return start;
}

static __attribute__((noinline)) void *large_new(size_t bytes)
{
    bytes = large_bytes(bytes);
    return bytes == 0 ? NULL : large_block(sluice_large_new(bytes), bytes);
}

static inline void *block_new(size_t bytes)
{
    return __builtin_expect(block_is_small(bytes), 1) ? small_new(bytes) : large_new(bytes);
}

static __attribute__((noinline)) void large_free(void *block)
{
    sluice_large_free((uint8_t *)block - LARGE_HEAD, *block_head(block));
}

static inline void block_free(void *block)
{
    uint32_t head = *block_head(block);
    if (__builtin_expect(head <= BLOCK_STRIDE_MAX, 1))
        small_freed(block, head);
    else
        large_free(block);
}

static __attribute__((noinline)) void *block_resize(void *block, size_t bytes)
{
    uint32_t head = *block_head(block);
    size_t old_bytes = block_bytes(block);
    void *other;
    if (head <= BLOCK_STRIDE_MAX ? bytes <= old_bytes : block_is_small(bytes) && bytes > old_bytes / 2)
        return block;
    if (head > BLOCK_STRIDE_MAX && !block_is_small(bytes)) {
        bytes = large_bytes(bytes);
        if (bytes == 0)
            return NULL;
        return large_block(sluice_large_resize((uint8_t *)block - LARGE_HEAD, head, bytes), bytes);
    }
    other = block_new(bytes);
    if (!other)
        return NULL;
    memcpy(other, block, bytes < old_bytes ? bytes : old_bytes);
    block_free(block);
    return other;
}

/* for src/heap.rs */
void *sluice_small_new(size_t bytes);
void sluice_small_free(void *block);
void sluice_begin_heap(void);

void *sluice_small_new(size_t bytes)
{
    return small_new(bytes);
}

void sluice_small_free(void *block)
{
    small_freed(block, *block_head(block));
}

/* A run begins in a chunk of its own, not in what the setup of the snapshot freed. */
void sluice_begin_heap(void)
{
    memset(&sluice_heap, 0, sizeof(sluice_heap));
    sluice_heap.return_at_count = CHUNKS_AT_FIRST;
    new_chunk();
}

#endif
