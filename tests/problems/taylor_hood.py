"""Taylor-Hood finite elements for steady flow, which know nothing of the references they are held against."""

import numpy as np
import skfem
from skfem.helpers import ddot, div, dot, grad, mul


def solve(mesh, viscosity, prescribed, held, pin=None):
    """Newton's method with P2-P1 elements; values at the nodes of the mesh.

    Args:
        mesh: Triangles.
        viscosity: Kinematic viscosity.
        prescribed: Positions (2, n) to the two prescribed velocities.
        held: Basis to the numbers of the velocities that are prescribed.
        pin: Number of a node where the pressure is zero, if no side is open.

    Returns:
        The nodes, shape (n, 2), and the fields there.
    """
    velocity = skfem.Basis(mesh, skfem.ElementVector(skfem.ElementTriP2()), intorder=5)
    pressure = velocity.with_element(skfem.ElementTriP1())

    @skfem.BilinearForm
    def linearised(u, w, data):
        convection = dot(mul(grad(u), data.flow), w) + dot(mul(data.flow.grad, u), w)
        return viscosity * ddot(grad(u), grad(w)) + convection

    @skfem.LinearForm
    def force(w, data):
        convection = dot(mul(data.flow.grad, data.flow), w)
        return -viscosity * ddot(data.flow.grad, grad(w)) - convection + data.pressure * div(w)

    divergence = skfem.BilinearForm(lambda u, q, _: -q * div(u)).assemble(velocity, pressure)
    mass = skfem.LinearForm(lambda q, data: q * div(data.flow)).assemble
    size = velocity.N
    x = np.zeros(size + pressure.N)
    fixed = held(velocity)
    components = np.zeros(size, int)
    components[velocity.nodal_dofs[1]] = components[velocity.facet_dofs[1]] = 1
    x[fixed] = np.stack(prescribed(velocity.doflocs))[components, np.arange(size)][fixed]
    if pin is not None:
        fixed = np.append(fixed, size + pin)
    for _ in range(10):
        flow, p = velocity.interpolate(x[:size]), pressure.interpolate(x[size:])
        matrix = skfem.bmat([[linearised.assemble(velocity, flow=flow), divergence.T], [divergence, None]], "csr")
        right = np.concatenate([force.assemble(velocity, flow=flow, pressure=p), mass(pressure, flow=flow)])
        change = skfem.solve(*skfem.condense(matrix, right, D=fixed, x=np.zeros_like(x)))
        x += change
        if np.abs(change[:size]).max() < 1e-10:
            break
    u, v = x[velocity.nodal_dofs]
    return mesh.p.T, {"u": u, "v": v, "p": x[size:][pressure.nodal_dofs[0]]}
