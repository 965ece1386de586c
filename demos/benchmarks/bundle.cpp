// Compute the Jacobian of bundle adjustment residuals by hand: for each observation, for both residuals, the
// derivatives by the camera's 11 parameters, the point's 3 and the weight. See bundle.py for what they are.
#include <cmath>

extern "C" void jacobian(const double *cameras, const double *points, const double *weights, const double *seen,
                         const int *camera, const int *point, double *out, int count, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int n = 0; n < count; n++) {
        const double *p = cameras + 11 * camera[n], *at = points + 3 * point[n], *r = p;
        const double w = weights[n], focal = p[6], k1 = p[9], k2 = p[10];
        const double x[3] = {at[0] - p[3], at[1] - p[4], at[2] - p[5]};

        // The turned point is y = c x + a (r cross x) + b (r . x) r.
        const double square = r[0] * r[0] + r[1] * r[1] + r[2] * r[2], angle = std::sqrt(square);
        const double c = std::cos(angle), a = std::sin(angle) / angle, b = (1 - c) / square;
        const double along = r[0] * x[0] + r[1] * x[1] + r[2] * x[2];
        const double cross[3] = {r[1] * x[2] - r[2] * x[1], r[2] * x[0] - r[0] * x[2], r[0] * x[1] - r[1] * x[0]};
        double y[3];
        for (int i = 0; i < 3; i++) y[i] = c * x[i] + a * cross[i] + b * along * r[i];

        // Its derivatives by r (the slopes of c, a, b are a common factor times r) and by x, the matrix that turns.
        const double da = (c - a) / square, db = (a - 2 * b) / square;
        const double skew[3][3] = {{0, -r[2], r[1]}, {r[2], 0, -r[0]}, {-r[1], r[0], 0}};
        const double by_axis[3][3] = {{0, x[2], -x[1]}, {-x[2], 0, x[0]}, {x[1], -x[0], 0}};  // of r cross x
        double y_r[3][3], y_x[3][3];
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++) {
                const double same = i == j;
                y_r[i][j] = r[j] * (-a * x[i] + da * cross[i] + db * along * r[i]) + a * by_axis[i][j] +
                            b * (same * along + r[i] * x[j]);
                y_x[i][j] = same * c + a * skew[i][j] + b * r[i] * r[j];
            }

        const double deep = 1 / y[2], u[2] = {y[0] * deep, y[1] * deep}, s = u[0] * u[0] + u[1] * u[1];
        const double lens = 1 + s * (k1 + s * k2), bend = 2 * (k1 + 2 * s * k2);
        for (int k = 0; k < 2; k++) {
            double *row = out + 30 * n + 15 * k;
            const double u0 = w * focal * ((k == 0) * lens + bend * u[k] * u[0]);
            const double u1 = w * focal * ((k == 1) * lens + bend * u[k] * u[1]);
            const double by_y[3] = {u0 * deep, u1 * deep, -(u0 * u[0] + u1 * u[1]) * deep};
            for (int j = 0; j < 3; j++) {
                row[j] = by_y[0] * y_r[0][j] + by_y[1] * y_r[1][j] + by_y[2] * y_r[2][j];
                row[11 + j] = by_y[0] * y_x[0][j] + by_y[1] * y_x[1][j] + by_y[2] * y_x[2][j];
                row[3 + j] = -row[11 + j];
            }
            row[6] = w * lens * u[k];
            row[7] = w * (k == 0);
            row[8] = w * (k == 1);
            row[9] = w * focal * s * u[k];
            row[10] = w * focal * s * s * u[k];
            row[14] = focal * lens * u[k] + p[7 + k] - seen[2 * n + k];
        }
    }
}
