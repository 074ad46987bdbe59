/* A Video4Linux camera made of files, put under the real OpenCV by LD_PRELOAD. file_camera.py drives it.
 *
 * Any file that is called videoN and has a mode-of-videoN beside it is a camera. The mode file is read before each
 * picture, one line: "play FOLDER PERIOD_MS" shows the .jpg files of the folder in the order of their names, over and
 * over; "hang" never answers; "crash" ends the process with SIGSEGV, as a broken decoder would. Without the mode file
 * it answers as the kernel does after a camera was pulled out. "hang-open" blocks already when the format is set.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/videodev2.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define FDS 4096
#define BUFFERS 4
#define BUFFER_BYTES (1 << 20)

struct camera {
    char mode_file[PATH_MAX];
    int width, height, fps;
    unsigned char *buffers[BUFFERS];
    int queue[BUFFERS], queued;
    long shown;
    struct timespec due;
};

static struct camera *cameras[FDS];

static struct camera *camera_of(int fd) { return fd >= 0 && fd < FDS ? cameras[fd] : NULL; }

static void adopt(int fd, const char *path) {
    char resolved[PATH_MAX];
    if (fd < 0 || fd >= FDS || !(path = realpath(path, resolved)) || strlen(path) > 500) return;
    const char *name = strrchr(path, '/');
    name = name ? name + 1 : path;
    char mode_file[PATH_MAX];
    if (strncmp(name, "video", 5) != 0 || strchr(name, '.')) return;
    snprintf(mode_file, sizeof mode_file, "%.*smode-of-%s", (int)(name - path), path, name);
    if (access(mode_file, R_OK) != 0) return;
    struct camera *camera = calloc(1, sizeof *camera);
    strcpy(camera->mode_file, mode_file);
    camera->width = 640, camera->height = 480, camera->fps = 30;
    clock_gettime(CLOCK_MONOTONIC, &camera->due);
    /* no two openings begin with the same picture, as little as two of a sensor's are the same */
    camera->shown = getpid();
    cameras[fd] = camera;
}

static int open_it(const char *symbol, const char *path, int flags, int mode) {
    int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, symbol);
    int fd = real(path, flags, mode);
    adopt(fd, path);
    return fd;
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    int mode = va_arg(rest, int);
    va_end(rest);
    return open_it("open", path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    int mode = va_arg(rest, int);
    va_end(rest);
    return open_it("open64", path, flags, mode);
}

int close(int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "close");
    if (camera_of(fd)) {
        free(cameras[fd]);
        cameras[fd] = NULL;
    }
    return real(fd);
}

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset) {
    void *(*real)(void *, size_t, int, int, int, off_t) =
        (void *(*)(void *, size_t, int, int, int, off_t))dlsym(RTLD_NEXT, "mmap");
    struct camera *camera = camera_of(fd);
    if (!camera) return real(address, size, protection, flags, fd, offset);
    void *memory = real(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int index = (int)(offset / BUFFER_BYTES);
    if (memory != MAP_FAILED && index < BUFFERS) camera->buffers[index] = memory;
    return memory;
}

void *mmap64(void *address, size_t size, int protection, int flags, int fd, off_t offset) {
    return mmap(address, size, protection, flags, fd, offset);
}

static void format_of(struct camera *camera, struct v4l2_format *format) {
    struct v4l2_pix_format *pixels = &format->fmt.pix;
    memset(pixels, 0, sizeof *pixels);
    pixels->width = camera->width, pixels->height = camera->height;
    pixels->pixelformat = V4L2_PIX_FMT_MJPEG;
    pixels->field = V4L2_FIELD_NONE;
    pixels->sizeimage = BUFFER_BYTES;
    pixels->colorspace = V4L2_COLORSPACE_SRGB;
}

static int by_name(const struct dirent **one, const struct dirent **other) {
    return strcmp((*one)->d_name, (*other)->d_name);
}

static int is_picture(const struct dirent *entry) { return strstr(entry->d_name, ".jpg") != NULL; }

struct mode {
    char what[16], folder[400];
    int period_ms;
};

static int mode_of(struct camera *camera, struct mode *mode) {
    FILE *file = fopen(camera->mode_file, "r");
    if (!file) return 0;
    int read = fscanf(file, "%15s %399s %d", mode->what, mode->folder, &mode->period_ms);
    fclose(file);
    return read > 0;
}

/* Blocks, as a driver does, until the next picture is due. */
static int take(struct camera *camera, struct v4l2_buffer *buffer) {
    struct mode mode = {"", "", 33};
    if (!mode_of(camera, &mode)) return errno = ENODEV, -1;
    if (strcmp(mode.what, "crash") == 0) raise(SIGSEGV);
    while (strcmp(mode.what, "hang") == 0) pause();
    const char *folder = mode.folder;
    int period_ms = mode.period_ms;
    if (!camera->queued) return errno = EAGAIN, -1;

    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    camera->due.tv_nsec += period_ms % 1000 * 1000000L;
    camera->due.tv_sec += period_ms / 1000 + camera->due.tv_nsec / 1000000000L;
    camera->due.tv_nsec %= 1000000000L;
    if (now.tv_sec > camera->due.tv_sec || (now.tv_sec == camera->due.tv_sec && now.tv_nsec > camera->due.tv_nsec))
        camera->due = now;
    else
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &camera->due, NULL);

    struct dirent **pictures;
    int count = scandir(folder, &pictures, is_picture, by_name);
    if (count <= 0) return errno = EIO, -1;
    char path[800];
    snprintf(path, sizeof path, "%s/%s", folder, pictures[camera->shown % count]->d_name);
    for (int each = 0; each < count; each++) free(pictures[each]);
    free(pictures);

    int index = camera->queue[0];
    memmove(camera->queue, camera->queue + 1, sizeof(int) * (BUFFERS - 1));
    camera->queued--;
    FILE *picture = fopen(path, "rb");
    size_t bytes = picture ? fread(camera->buffers[index], 1, BUFFER_BYTES, picture) : 0;
    if (picture) fclose(picture);
    buffer->index = (unsigned)index;
    buffer->bytesused = (unsigned)bytes;
    buffer->length = BUFFER_BYTES;
    buffer->flags = V4L2_BUF_FLAG_MAPPED;
    buffer->sequence = (unsigned)camera->shown++;
    buffer->timestamp.tv_sec = camera->due.tv_sec;
    buffer->timestamp.tv_usec = camera->due.tv_nsec / 1000;
    return 0;
}

static int answer(struct camera *camera, unsigned long request, void *argument) {
    switch (request) {
    case VIDIOC_QUERYCAP: {
        struct v4l2_capability *it = argument;
        memset(it, 0, sizeof *it);
        strcpy((char *)it->driver, "shim");
        strcpy((char *)it->card, "a camera of files");
        it->capabilities = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING | V4L2_CAP_DEVICE_CAPS;
        it->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
        return 0;
    }
    case VIDIOC_ENUMINPUT: {
        struct v4l2_input *it = argument;
        if (it->index) return errno = EINVAL, -1;
        it->type = V4L2_INPUT_TYPE_CAMERA;
        return 0;
    }
    case VIDIOC_G_INPUT: *(int *)argument = 0; return 0;
    case VIDIOC_S_INPUT: return 0;
    case VIDIOC_ENUM_FMT: {
        struct v4l2_fmtdesc *it = argument;
        if (it->index) return errno = EINVAL, -1;
        it->pixelformat = V4L2_PIX_FMT_MJPEG;
        return 0;
    }
    case VIDIOC_G_FMT: format_of(camera, argument); return 0;
    case VIDIOC_TRY_FMT:
    case VIDIOC_S_FMT: {
        struct mode mode = {"", "", 0};
        while (mode_of(camera, &mode) && strcmp(mode.what, "hang-open") == 0) pause();
        format_of(camera, argument);
        return 0;
    }
    case VIDIOC_G_PARM:
    case VIDIOC_S_PARM: {
        struct v4l2_streamparm *it = argument;
        it->parm.capture.capability = V4L2_CAP_TIMEPERFRAME;
        it->parm.capture.timeperframe.numerator = 1;
        it->parm.capture.timeperframe.denominator = (unsigned)camera->fps;
        return 0;
    }
    case VIDIOC_REQBUFS: {
        struct v4l2_requestbuffers *it = argument;
        if (it->count > BUFFERS) it->count = BUFFERS;
        camera->queued = 0;
        return 0;
    }
    case VIDIOC_QUERYBUF: {
        struct v4l2_buffer *it = argument;
        it->length = BUFFER_BYTES;
        it->m.offset = it->index * BUFFER_BYTES;
        return 0;
    }
    case VIDIOC_QBUF: camera->queue[camera->queued++] = (int)((struct v4l2_buffer *)argument)->index; return 0;
    case VIDIOC_DQBUF: return take(camera, argument);
    case VIDIOC_STREAMON: return 0;
    case VIDIOC_STREAMOFF: camera->queued = 0; return 0;
    default: return errno = EINVAL, -1;
    }
}

int ioctl(int fd, unsigned long request, ...) {
    va_list rest;
    va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    struct camera *camera = camera_of(fd);
    /* Python hands the request over as a signed int */
    if (camera) return answer(camera, request & 0xffffffffUL, argument);
    int (*real)(int, unsigned long, ...) = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
    return real(fd, request, argument);
}
